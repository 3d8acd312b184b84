"""A shielded cleanup with a deadline of its own, which ends each time."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = []
# ///

import trio


async def session() -> None:
    while True:
        with trio.move_on_after(0.01):
            try:
                await trio.sleep_forever()
            finally:
                with trio.move_on_after(0.005, shield=True):
                    await trio.Event().wait()


print("running", flush=True)
trio.run(session)
