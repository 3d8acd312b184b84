"""The deadline has passed and the body was cancelled, but the cleanup runs in a shielded scope
and waits for a goodbye that the other side never sends."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "session"], ["notify"]]]
# ///

import trio


async def session(goodbye: trio.Event) -> None:
    with trio.move_on_after(0.01):
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                print("stuck", flush=True)
                await goodbye.wait()


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session, trio.Event())


trio.run(main)
