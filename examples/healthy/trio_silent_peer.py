"""A client of a server that answers after a moment, in one process, over real sockets."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = []
# ///

import functools

import trio


async def answer(stream: trio.SocketStream) -> None:
    async for _ in stream:
        await trio.sleep(0.005)
        await stream.send_all(b"hello\n")


async def ask(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(b"hello\n")
        await stream.receive_some()


async def main() -> None:
    async with trio.open_nursery() as nursery:
        serve = functools.partial(trio.serve_tcp, answer, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        address = listeners[0].socket.getsockname()
        nursery.start_soon(ask, await trio.open_tcp_stream(*address))
        print("running", flush=True)


trio.run(main)
