"""A client speaks to a server that takes the request and never answers; there is no deadline."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "external"
# deadlock = false
# chains = [[["task", "ask"], ["socket"]]]
# ///

import socket

import trio


async def ask(host: str, port: int) -> bytes:
    stream = await trio.open_tcp_stream(host, port)
    async with stream:
        await stream.send_all(b"hello\n")
        print("stuck", flush=True)
        return await stream.receive_some()


async def main() -> None:
    # Nobody accepts: the kernel completes the connection by itself.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await ask(*listener.getsockname())


trio.run(main)
