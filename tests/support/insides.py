"""Looking into this very process: a loop in a thread, a snapshot, and questions to its graph."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from peeps import unpatched
from peeps.collectors import Collectors
from peeps.identity import make_identity
from peeps.snapshot import Snapshot


class View:
    """A graph with questions. Nodes are named by label or by the attribute `name`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.nodes = {row["id"]: row for row in snapshot.graph.rows()}
        self.edges = list(snapshot.graph.edge_rows())

    def find(self, name: str) -> dict[str, Any]:
        """The one node with that id, or else that name, or else that label."""
        if name in self.nodes:
            return self.nodes[name]
        named = [node for node in self.nodes.values() if node["attrs"].get("name") == name]
        found = named or [node for node in self.nodes.values() if node["label"] == name]
        assert len(found) == 1, (name, [(n["kind"], n["label"]) for n in self.nodes.values()])
        return found[0]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [node for node in self.nodes.values() if node["kind"] == kind]

    def out(self, node: dict[str, Any], kind: str = "needs") -> list[dict[str, Any]]:
        """Where edges from a node lead."""
        return [
            self.nodes[edge["dst"]]
            for edge in self.edges
            if edge["src"] == node["id"] and edge["kind"] == kind and edge["dst"] in self.nodes
        ]

    def chain(self, name: str, length: int = 10) -> list[str]:
        """Kinds or task names along `needs`, while there is exactly one way to go."""
        node = self.find(name)
        told = [name]
        while len(told) < length:
            following = self.out(node)
            if len(following) != 1:
                break
            node = following[0]
            told.append(
                node["attrs"]["name"] if node["kind"] in ("task", "thread") else node["kind"]
            )
        return told

    def needs(self, name: str) -> set[str]:
        """Labels of what a node needs, sorted out of the graph."""
        return {node["attrs"].get("name") or node["kind"] for node in self.out(self.find(name))}


def look(**options: Any) -> View:
    """A snapshot of this process, taken by the calling thread as the agent's thread would."""
    snapshot = Snapshot(
        make_identity("host"),
        Collectors(),
        own_threads=frozenset({unpatched.get_ident()}),
        **options,
    )
    snapshot.take()
    return View(snapshot)


@contextlib.contextmanager
def asyncio_host(
    main: Callable[[], Awaitable[None]], new_loop: Callable[[], Any] = asyncio.new_event_loop
) -> Iterator[Any]:
    """Runs `main` in a loop of its own in a thread; yields the loop when `main` has come so far
    as to call `ready()`, its attribute. Everything is cancelled at the end."""
    loop = new_loop()
    is_ready = threading.Event()

    async def run() -> None:
        task = asyncio.create_task(main(), name="main")
        await asyncio.sleep(0)
        settled = 0
        while settled < 10:  # for longer than the short sleeps of tests
            await asyncio.sleep(0.005)
            settled = settled + 1 if _all_settled(loop) else 0
        is_ready.set()
        await asyncio.wait([task])
        await asyncio.Event().wait()

    def thread() -> None:
        with (
            asyncio.Runner(loop_factory=lambda: loop) as runner,
            contextlib.suppress(BaseException),
        ):
            runner.run(run())

    host = threading.Thread(target=thread, name="host", daemon=True)
    host.start()
    assert is_ready.wait(30)
    try:
        yield loop
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_cancel_all, loop)
        host.join(30)
        assert not host.is_alive()


def _all_settled(loop: Any) -> bool:
    """Whether every other task waits for something that is not there yet."""
    current = asyncio.current_task(loop)
    for task in asyncio.all_tasks(loop):
        if task is current:
            continue
        waiter = task._fut_waiter  # type: ignore[attr-defined]
        if waiter is None or waiter.done():
            return False
    return True


def _cancel_all(loop: Any) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
