"""Sockets between processes: real deadlocks are found, idle conversations are not."""

from peepsd.core import waits, wires
from peepsd.core.waits import Edge

A1, B1 = "socket:tcp:a:1>b:9", "socket:tcp:b:9>a:1"
B2, A2 = "socket:tcp:b:2>a:8", "socket:tcp:a:8>b:2"


def edges(*pairs: tuple[str, str]) -> list[Edge]:
    return [(src, dst, None) for src, dst in pairs]


def deadlocks(found: wires.Wires) -> list[set[str]]:
    return [{found.graph.ids[n] for n in d.members} for d in waits.deadlocks(found.graph)]


REQUEST = edges(("task:a/call", A1), (A1, B1), (B1, "task:b/serve"))
CALLBACK = edges(("task:b/serve", B2), (B2, A2), (A2, "task:a/serve"))


def test_a_request_leads_to_the_task_that_serves_it() -> None:
    graph = wires.untangle(REQUEST).graph
    path = ["task:a/call"]
    n = graph.index["task:a/call"]
    while graph.needs[n]:
        (n,) = graph.needs[n]
        path.append(graph.ids[n])
    assert path == ["task:a/call", A1, B1, "task:b/serve"]


def test_services_that_call_each_other_are_a_deadlock() -> None:
    held = edges(("task:a/serve", "lock:a/x"), ("lock:a/x", "task:a/call"))
    found = deadlocks(wires.untangle([*REQUEST, *CALLBACK, *held]))
    expected = {"task:a/call", A1, B1, "task:b/serve", B2, A2, "task:a/serve", "lock:a/x"}
    assert found == [expected]


def test_the_same_services_without_the_lock_are_none() -> None:
    assert deadlocks(wires.untangle([*REQUEST, *CALLBACK])) == []


def test_two_ends_that_listen_to_each_other_are_idle() -> None:
    both = edges(
        ("task:a/read", A1), (A1, B1), (B1, "task:b/read"),
        ("task:b/read", B1), (B1, A1), (A1, "task:a/read"),
    )  # fmt: skip
    found = wires.untangle(both)
    assert deadlocks(found) == []
    listeners = {found.graph.ids[n] for tasks in found.idle.values() for n in tasks}
    assert listeners == {"task:a/read", "task:b/read"}


def test_a_handler_that_waits_for_its_own_reader_is_idle_too() -> None:
    both = edges(
        ("task:a/read", A1), (A1, B1), (B1, "task:b/handler"),
        ("task:b/handler", "joinset:b/n"), ("joinset:b/n", "task:b/reader"),
        ("task:b/reader", B1), (B1, A1), (A1, "task:a/read"),
    )  # fmt: skip
    assert deadlocks(wires.untangle(both)) == []


def test_two_ends_that_cannot_write_are_a_deadlock() -> None:
    both = edges(
        ("task:a/send", A1), (A1, B1), (B1, "task:b/send"),
        ("task:b/send", B1), (B1, A1), (A1, "task:a/send"),
    )  # fmt: skip
    writers = frozenset({"task:a/send", "task:b/send"})
    assert deadlocks(wires.untangle(both, writers=writers)) == [
        {"task:a/send", A1, B1, "task:b/send"}
    ]
