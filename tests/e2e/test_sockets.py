"""Two processes, one stuck on the other over a real connection: the graphs meet in the middle."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import talkers

DEADLINE_S = 60.0


class Talker:
    """A running side."""

    def __init__(self, side: str, kind: str, port: int = 0, loop: str = "asyncio") -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(talkers.__file__)), side, kind, str(port)],
            env=os.environ | {"TALKER_LOOP": loop},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        word, _, number = self.process.stdout.readline().partition(" ")
        assert word == "ready"
        self.port = int(number)

    def graph(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Talker]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Talker] = []

    def start_one(*args: Any, **kwargs: Any) -> Talker:
        running.append(Talker(*args, **kwargs))
        return running[-1]

    yield start_one
    for talker in running:
        talker.stop()


def chain(graphs: list[dict[str, Any]], function: str) -> list[str]:
    """Kinds of nodes, and functions of tasks and threads, from the one that runs `function` on."""
    nodes = {node["id"]: node for graph in graphs for node in graph["nodes"]}
    edges: dict[str, list[str]] = {}
    for graph in graphs:
        for edge in graph["edges"]:
            if edge["kind"] == "needs":
                edges.setdefault(edge["src"], []).append(edge["dst"])
    starts = [i for i, node in nodes.items() if runs(node, function)]
    seen: list[str] = []
    todo = starts[:1]
    reached = set(todo)
    while todo:
        here = todo.pop(0)
        node = nodes.get(here)
        if node is None:
            seen.append("missing")
            continue
        functions = [line.partition(" (")[0] for line in node["attrs"].get("stack") or ()]
        seen.append(" ".join([node["kind"], *(f.rpartition(".")[2] for f in functions)]))
        for after in edges.get(here, ()):
            if after not in reached:
                reached.add(after)
                todo.append(after)
    return seen


def runs(node: dict[str, Any], function: str) -> bool:
    return any(
        line.partition(" (")[0].rpartition(".")[2] == function
        for line in node["attrs"].get("stack") or ()
    )


def meet(client: Talker, server: Talker, caller: str, handler: str) -> list[str]:
    """Until the caller's chain reaches the handler; the chain as seen last."""
    end = time.monotonic() + DEADLINE_S
    while True:
        seen = chain([client.graph(), server.graph()], caller)
        if any(handler in step.split() for step in seen) or time.monotonic() > end:
            return seen
        time.sleep(0.05)


PAIRS = [
    ("streams", "streams", "asyncio"),
    ("streams", "streams", "uvloop"),
    ("httpx", "h11", "asyncio"),
    ("httpx", "httptools", "uvloop"),
    ("httpx_on_trio", "starlette", "asyncio"),
    ("aiohttp", "aiohttp", "asyncio"),
    ("aiohttp", "aiohttp", "uvloop"),
    ("httpx", "hypercorn", "asyncio"),
    ("aiohttp", "hypercorn_trio", "asyncio"),
    ("trio", "trio", "asyncio"),
    ("thread", "threads", "asyncio"),
    ("thread", "h11", "asyncio"),
    ("redis", "streams", "asyncio"),
    ("redis", "streams", "uvloop"),
    ("asyncpg", "trio", "asyncio"),
    ("asyncpg", "trio", "uvloop"),
]


@pytest.mark.parametrize(("client_kind", "server_kind", "loop"), PAIRS)
def test_both_ends_meet(client_kind: str, server_kind: str, loop: str, start: Start) -> None:
    server = start("server", server_kind, loop=loop)
    client = start("client", client_kind, server.port, loop=loop)
    handler = "handler_that_hangs"
    if server_kind == "threads":
        handler += "_in_a_thread"
    elif server_kind.endswith("trio"):
        handler += "_in_trio"
    caller = f"call_{client_kind.removesuffix('_on_trio')}"
    seen = meet(client, server, caller, handler)
    assert any(handler in step.split() for step in seen), seen
    kinds = [step.split()[0] for step in seen]
    first = kinds.index("socket")
    assert kinds[first : first + 2] == ["socket", "socket"], seen


def test_a_peer_outside_of_the_snapshot_stays_with_its_address(start: Start) -> None:
    server = start("server", "silence")
    client = start("client", "redis", server.port)
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        graph = client.graph()
        peers = [edge["attrs"].get("peer") for edge in graph["edges"]]
        if f"127.0.0.1:{server.port}" in peers:
            assert chain([graph], "call_redis")[-2:] == ["socket", "missing"]
            return
        time.sleep(0.05)
    pytest.fail("the connection was not seen")


def test_requests_and_responses_meet(start: Start) -> None:
    server = start("server", "integrated")
    client = start("client", "integrated", server.port)
    seen = meet(client, server, "call_integrated", "handler_that_hangs")
    kinds = [step.split()[0] for step in seen]
    assert kinds.index("request") + 1 <= kinds.index("response"), seen
    graphs = [client.graph(), server.graph()]
    (request,) = (n for n in graphs[0]["nodes"] if n["kind"] == "request")
    (response,) = (n for n in graphs[1]["nodes"] if n["kind"] == "response")
    edges = {(edge["src"], edge["dst"]) for graph in graphs for edge in graph["edges"]}
    nodes = {node["id"]: node for graph in graphs for node in graph["nodes"]}
    assert (request["id"], response["id"]) in edges
    (worker,) = (nodes[dst] for src, dst in edges if src == response["id"])
    assert runs(worker, "handler_that_hangs")


def test_a_connection_that_nobody_accepts(start: Start) -> None:
    server = start("server", "nobody")
    client = start("client", "streams", server.port)
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        graphs = [client.graph(), server.graph()]
        seen = chain(graphs, "call_streams")
        if seen[-1:] == ["net_accept"]:
            states = [node["attrs"].get("state") for node in graphs[1]["nodes"]]
            assert "not accepted" in states
            return
        time.sleep(0.05)
    pytest.fail(str(seen))


def test_two_ends_that_both_listen_are_idle(start: Start) -> None:
    server = start("server", "listeners")
    client = start("client", "listener", server.port)
    end = time.monotonic() + DEADLINE_S
    seen: list[str] = []
    while time.monotonic() < end and "socket" not in [step.split()[0] for step in seen]:
        time.sleep(0.05)
        seen = chain([client.graph(), server.graph()], "call_listener")
    for _ in range(5):
        graphs = [client.graph(), server.graph()]
        for one, other in (
            ("call_listener", "listen_and_answer"),
            ("listen_and_answer", "call_listener"),
        ):
            seen = chain(graphs, one)
            assert [step.split()[0] for step in seen][-2:] == ["socket", "socket"], seen
            assert not any(other in step.split() for step in seen), seen


def test_a_thread_whose_peer_does_not_read_waits_to_send(start: Start) -> None:
    server = start("server", "nobody")
    client = start("client", "full", server.port)
    end = time.monotonic() + DEADLINE_S
    seen: list[str] = []
    while time.monotonic() < end:
        seen = chain([client.graph(), server.graph()], "call_full")
        if seen[-1:] == ["net_accept"]:
            return
        time.sleep(0.05)
    pytest.fail(str(seen))


def test_a_sender_and_its_reader_never_wait_for_each_other_at_once(start: Start) -> None:
    server = start("server", "sink")
    client = start("client", "sender", server.port)
    was_seen = False
    for _ in range(15):
        graphs = [client.graph(), server.graph()]
        forth = any("read_it_all" in s.split() for s in chain(graphs, "call_sender"))
        back = any("call_sender" in s.split() for s in chain(graphs, "read_it_all"))
        was_seen |= forth or back
        assert not (forth and back)
    assert was_seen
