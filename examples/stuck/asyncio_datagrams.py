"""A service of datagrams waits for a last one, after its endpoint has been closed."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "main"], ["notify"]]]
# ///

import asyncio


class Metrics(asyncio.DatagramProtocol):
    def __init__(self, received: asyncio.Event) -> None:
        self.received = received

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.received.set()


async def main() -> None:
    loop = asyncio.get_running_loop()
    received = asyncio.Event()
    endpoint, _ = await loop.create_datagram_endpoint(
        lambda: Metrics(received), local_addr=("127.0.0.1", 0)
    )
    endpoint.close()
    print("stuck", flush=True)
    await received.wait()


asyncio.run(main())
