"""An old synchronous client is called from a coroutine; the server accepts and never answers. The
event loop waits in recv, with everything that runs on it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "blocked_loop"
# deadlock = false
# chains = [[["task", "health"], ["event_loop"], ["task", "price"]]]
# ///

import asyncio
import socket


def legacy_price(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address) as connection:
        connection.sendall(b"PRICE book\n")
        print("stuck", flush=True)
        return connection.recv(1024)


async def health() -> None:
    while True:
        await asyncio.sleep(0.01)


async def price(address: tuple[str, int]) -> bytes:
    await asyncio.sleep(0)
    return legacy_price(address)


async def main() -> None:
    silent_server = socket.create_server(("127.0.0.1", 0))
    async with asyncio.TaskGroup() as group:
        group.create_task(health(), name="health")
        group.create_task(price(silent_server.getsockname()), name="price")


asyncio.run(main())
