"""Pools of real libraries, exhausted: who waits, who has the connections."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import aiohttp
import asyncpg
import httpx
import redis.asyncio
import sqlalchemy
from sqlalchemy.pool import QueuePool

from peeps.snapshot import snapshot_dict

DEADLINE_S = 60.0


class View:
    """A graph, told by labels."""

    def __init__(self, graph: dict[str, Any]) -> None:
        self.nodes = {node["id"]: node for node in graph["nodes"]}
        self.edges = {
            (self.name(edge["src"]), self.name(edge["dst"]))
            for edge in graph["edges"]
            if edge["kind"] == "needs"
        }

    def name(self, node_id: str) -> str:
        node = self.nodes.get(node_id)
        if node is None:
            return node_id
        return str(
            node["attrs"].get("name") if node["kind"] in ("task", "thread") else node["kind"]
        )

    def pools(self) -> list[dict[str, Any]]:
        return [node["attrs"] for node in self.nodes.values() if node["kind"] == "pool"]


async def look_until(expected: set[tuple[str, str]]) -> View:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            view = View(await asyncio.to_thread(snapshot_dict, "pools"))
            if expected <= view.edges:
                return view
            await asyncio.sleep(0.05)


async def _never() -> None:
    await asyncio.Event().wait()


class Scene:
    """Servers and tasks that end with the test."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> "Scene":
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def server(self, answer: bytes) -> int:
        async def handle(reader: Any, writer: Any) -> None:
            try:
                await reader.read(1)
                writer.write(answer)
                await _never()
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self._stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    def task(self, coroutine: Any, name: str) -> None:
        self._tasks.append(asyncio.create_task(coroutine, name=name))


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx"
EXHAUSTED = {("waiter", "pool"), ("pool", "holder")}


def test_httpx() -> None:
    async def main() -> None:
        async with Scene() as scene:
            url = f"http://127.0.0.1:{await scene.server(HEAD)}/"
            silent = f"http://127.0.0.1:{await scene.server(b'')}/"
            limits = httpx.Limits(max_connections=2)
            async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:

                async def hold() -> None:
                    async with client.stream("GET", url):
                        await _never()

                scene.task(hold(), "holder")
                scene.task(client.get(silent), "in flight")
                view = await look_until({("holder", "notify"), ("in flight", "socket")})
                assert not {edge for edge in view.edges if "pool" in edge}
                scene.task(client.get(url), "waiter")
                view = await look_until(EXHAUSTED | {("pool", "in flight")})
                (pool,) = view.pools()
                assert (pool["size"], pool["waiters"], pool["requests"]) == (2, 1, 3)

    asyncio.run(main())


def test_aiohttp() -> None:
    async def main() -> None:
        async with Scene() as scene:
            url = f"http://127.0.0.1:{await scene.server(HEAD)}/"
            connector = aiohttp.TCPConnector(limit=1)
            async with aiohttp.ClientSession(connector=connector) as session:

                async def use() -> None:
                    async with session.get(url):
                        await _never()

                scene.task(use(), "holder")
                await look_until({("holder", "notify")})
                scene.task(use(), "waiter")
                (pool,) = (await look_until(EXHAUSTED)).pools()
                assert (pool["size"], pool["in_use"], pool["waiters"]) == (1, 1, 1)

    asyncio.run(main())


def test_redis() -> None:
    async def main() -> None:
        async with Scene() as scene:
            port = await scene.server(b"")
            pool_of_one = redis.asyncio.BlockingConnectionPool(
                host="127.0.0.1", port=port, max_connections=1, timeout=None
            )
            client = redis.asyncio.Redis(connection_pool=pool_of_one)
            scene.task(client.get("a"), "holder")
            await look_until({("holder", "socket")})
            scene.task(client.get("b"), "waiter")
            (pool,) = (await look_until(EXHAUSTED)).pools()
            assert (pool["size"], pool["in_use"], pool["waiters"]) == (1, 1, 1)

    asyncio.run(main())


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def test_asyncpg() -> None:
    welcome = (
        _message(b"R", bytes(4))
        + _message(b"S", b"server_version\x0015.0\0")
        + _message(b"S", b"client_encoding\0UTF8\0")
        + _message(b"K", bytes(8))
        + _message(b"Z", b"I")
    )

    async def main() -> None:
        async with Scene() as scene:
            port = await scene.server(welcome)
            connections = await asyncpg.create_pool(
                host="127.0.0.1",
                port=port,
                user="u",
                database="d",
                ssl=False,
                min_size=1,
                max_size=1,
            )

            async def hold() -> None:
                connection = await connections.acquire()
                await _never()
                del connection

            try:
                scene.task(hold(), "holder")
                await look_until({("holder", "notify")})
                scene.task(hold(), "waiter")
                (pool,) = (await look_until(EXHAUSTED)).pools()
                assert (pool["size"], pool["open"], pool["waiters"]) == (1, 1, 1)
            finally:
                connections.terminate()

    asyncio.run(main())


@contextmanager
def thread(function: Any, name: str) -> Iterator[None]:
    made = threading.Thread(target=function, name=name)
    made.start()
    yield
    made.join()


def test_sqlalchemy() -> None:
    arguments = {"check_same_thread": False}
    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0, connect_args=arguments
    )
    given_back, has_it = threading.Event(), threading.Event()

    def hold() -> None:
        with engine.connect():
            has_it.set()
            given_back.wait()

    def wait_for_it() -> None:
        engine.connect().close()

    async def look() -> None:
        (pool,) = (await look_until(EXHAUSTED)).pools()
        assert (pool["size"], pool["max_overflow"], pool["idle"], pool["waiters"]) == (1, 0, 0, 1)

    with thread(hold, "holder"):
        has_it.wait()
        try:
            with thread(wait_for_it, "waiter"):
                try:
                    asyncio.run(look())
                finally:
                    given_back.set()
        finally:
            given_back.set()
    engine.dispose()
