"""Two processes that talk over one connection, and keep it: `keepers.py server|client NAME`.

The client asks again and again at one line; the server waits at one line until it may answer. A
busy server may twenty times a second. A stuck one answers a few and then no more. One with news
tells some when it is asked, and then there are none; its client listens.
"""

import asyncio
import sys

ANSWERED = 20


async def serve(name: str) -> None:
    may_answer = asyncio.Event()

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for _ in range(ANSWERED):
            await asyncio.sleep(0.05)
            writer.write(b"news\n")
        await asyncio.Event().wait()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await may_answer.wait()
            writer.write(b"answer\n")

    served = tell if name == "news" else handle
    server = await asyncio.start_server(served, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    turns = 0
    while name == "busy" or turns < ANSWERED:
        turns += 1
        may_answer.set()
        may_answer.clear()
        await asyncio.sleep(0.05)
    await server.serve_forever()


async def ask(port: int, once: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(1_000_000):
        if number == 0 or not once:
            writer.write(b"ask\n")
        if number == 3:
            print("asking", flush=True)
        await reader.readline()


if __name__ == "__main__":
    side, name = sys.argv[1:3]
    asyncio.run(serve(name) if side == "server" else ask(int(sys.argv[3]), name == "news"))
