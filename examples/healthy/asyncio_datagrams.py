"""A service of datagrams waits to be told to stop, by a signal; clients may send to it any time."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["notify"], ["task"]]]
# ///

import asyncio
import signal


class Metrics(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.count = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.count += 1


async def main() -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.create_datagram_endpoint(Metrics, local_addr=("127.0.0.1", 0))
    print("running", flush=True)
    await stop.wait()


asyncio.run(main())
