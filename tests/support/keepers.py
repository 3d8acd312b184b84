"""Two processes that talk over one connection that they keep: `python keepers.py server|client`.

The client asks again and again at one line; the server waits at one line until it may answer. A
busy server may twenty times a second. A stuck one answers a few and then no more.
"""

import asyncio
import sys

ANSWERED = 20


async def serve(name: str) -> None:
    may_answer = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await may_answer.wait()
            writer.write(b"answer\n")

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    turns = 0
    while name == "busy" or turns < ANSWERED:
        turns += 1
        may_answer.set()
        may_answer.clear()
        await asyncio.sleep(0.05)
    await server.serve_forever()


async def ask(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(1_000_000):
        writer.write(b"ask\n")
        if number == 3:
            print("asking", flush=True)
        await reader.readline()


if __name__ == "__main__":
    side, argument = sys.argv[1:]
    asyncio.run(serve(argument) if side == "server" else ask(int(argument)))
