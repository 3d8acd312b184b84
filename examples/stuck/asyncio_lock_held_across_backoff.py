"""One request refreshes the access token under a lock and, when the identity provider fails,
sleeps before its next attempt without letting go: every other request waits out the back-off."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "sleeping"
# deadlock = false
# chains = [
#     [["task", "request-2"], ["lock"], ["task", "request-1"], ["sleep"]],
#     [["task", "request-3"], ["lock"], ["task", "request-1"], ["sleep"]],
# ]
# ///

import asyncio

token_lock = asyncio.Lock()
BACKOFF_S = 3600.0


async def fetch_token() -> str:
    raise ConnectionError("identity provider is down")


async def access_token() -> str:
    async with token_lock:
        while True:
            try:
                return await fetch_token()
            except ConnectionError:
                await asyncio.sleep(BACKOFF_S)


async def request(last: bool) -> None:
    if last:
        print("stuck", flush=True)
    await access_token()


async def main() -> None:
    names = ["request-1", "request-2", "request-3"]
    tasks = [asyncio.create_task(request(n == names[-1]), name=n) for n in names]
    await asyncio.gather(*tasks)


asyncio.run(main())
