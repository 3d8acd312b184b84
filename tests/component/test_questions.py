"""Answers from a database written by hand (tests/support/answers_db.py)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from peepsd.errors import Ambiguous, NotFound, SchemaVersionError, StoreError, TooManyRequests
from peepsd.store import exports, questions
from peepsd.store.analyst import Analyst
from tests.support.answers_db import (
    SECOND,
    START_NS,
    SnapshotBuilder,
    ask,
    new_database,
)


def steps(why: Any) -> list[str]:
    return [step["node"]["name"] for step in why["steps"]]


@pytest.mark.parametrize(
    ("helper", "ours"),
    [
        ("sleep:p-1/s", "net_accept:p-1/m"),  # waiting for work tells more than a library's nap
        ("notify:p-1/results", "notify:p-1/m"),
    ],
)
def test_a_process_is_told_by_its_own_code_and_not_by_a_library_s(
    tmp_path: Path, helper: str, ours: str
) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, 10**18)
    s.process("p", 1)
    library = "/usr/lib/python3.11"
    threads = f"_bootstrap ({library}/threading.py:1002)"
    pool = f"_handle_results ({library}/multiprocessing/pool.py:579)"
    own = ["<module> (/srv/app.py:9)", f"get ({library}/multiprocessing/pool.py:768)"]
    s.node("thread:p-1/1", "p-1", "Thread-3 (_handle_results)", stack=[threads, pool])
    s.node("thread:p-1/2", "p-1", "MainThread", stack=own)
    s.node(helper, "p-1")
    s.node(ours, "p-1")
    s.node("lock:p-1/l", "p-1")
    s.chain("thread:p-1/1", "lock:p-1/l", helper)  # even where its chain is the longer one
    s.chain("thread:p-1/2", ours)
    db.close()
    why = ask(tmp_path / "d.sqlite", "why", subject="p")
    assert why["subject"]["name"] == "MainThread"


def test_the_worst_is_the_deadlock(story: Path) -> None:
    why = ask(story, "why")
    assert why["root"]["kind"] == "cycle"
    assert {n["name"] for n in why["deadlock"]["members"]} == {"checkout", "charge", "get_price"}
    assert why["deadlock"]["processes"] == ["api-11", "billing-22"]
    assert why["caveats"] == ["ledger-44 is missing: it did not answer in time"]


@pytest.mark.parametrize(
    ("subject", "kind", "chain"),
    [
        ("report", "unanswered", ["report", "7"]),
        ("main", "unknown", ["main", "jobs", "produce", "events"]),
        ("query-10", "unknown", ["query-10", "db-pool", "query-8", "row-8"]),
        ("heartbeat", "sleeping", ["heartbeat", "4"]),
        ("mail", "blocked_loop", ["mail", "import"]),
        ("newcomer", "running", ["newcomer"]),
        ("worker/mail", "blocked_loop", ["mail", "import"]),
        ("33/mail", "blocked_loop", ["mail", "import"]),
        ("task:worker-33.z/c", "blocked_loop", ["mail", "import"]),
        ("worker-33.z/c", "blocked_loop", ["mail", "import"]),
        ("beat", "sleeping", ["heartbeat", "4"]),
        ("worker", "unanswered", ["report", "7"]),
        ("ledger", "unanswered", ["ledger-44"]),
    ],
)
def test_why_finds_the_root(story: Path, subject: str, kind: str, chain: list[str]) -> None:
    why = ask(story, "why", subject=subject)
    assert (why["root"]["kind"], steps(why)) == (kind, chain)


def test_a_member_of_a_deadlock_is_where_its_sentence_starts(story: Path) -> None:
    why = ask(story, "why", subject="charge")
    assert why["sentence"].startswith(
        "task 'charge' (billing-22, /srv/billing/pay.py:12 in charge)"
    )
    assert why["sentence"].endswith(
        "for task 'charge' again. This is a deadlock if it lasts; it was seen once."
    )
    confirmed = ask(story, "why", subject="charge", confirm_with=1)
    assert confirmed["sentence"].endswith("for task 'charge' again. This is a deadlock.")


def test_what_is_ambiguous_is_refused_with_the_choices(story: Path) -> None:
    with pytest.raises(Ambiguous, match=r"'query' fits 3 nodes; choose one by its id:\n  task:"):
        ask(story, "why", subject="query")


def test_what_is_not_there_is_said(story: Path) -> None:
    with pytest.raises(NotFound, match="no process, task or other node 'nobody' in snapshot 2"):
        ask(story, "why", subject="nobody")
    with pytest.raises(NotFound, match="no snapshot 7; there are 1 to 2"):
        ask(story, "why", snapshot_id=7)


def test_deadlocks_are_confirmed_by_another_snapshot(story: Path) -> None:
    (once,) = ask(story, "deadlocks")["deadlocks"]
    (twice,) = ask(story, "deadlocks", snapshot_id=1, confirm_with=2)["deadlocks"]
    assert (once["status"], once["confidence"]["level"]) == ("candidate", "medium")
    assert (twice["status"], twice["confidence"]["level"]) == ("confirmed", "high")
    assert once["id"] == twice["id"]


def a_cycle(path: Path, *, still_there: bool) -> Path:
    db = new_database(path)
    for number in (1, 2):
        s = SnapshotBuilder(db, number, START_NS + number * SECOND)
        s.process("p", 1)
        for name in "ab":
            s.node(f"task:{name}", "p-1", name)
        s.edge("task:a", "task:b")
        if number == 1 or still_there:
            s.edge("task:b", "task:a")
    db.close()
    return path


def test_what_has_dissolved_was_no_deadlock(tmp_path: Path) -> None:
    path = a_cycle(tmp_path / "d.sqlite", still_there=False)
    assert len(ask(path, "deadlocks", snapshot_id=1)["deadlocks"]) == 1
    assert ask(path, "deadlocks", snapshot_id=1, confirm_with=2)["deadlocks"] == []
    (kept,) = ask(path, "deadlocks", snapshot_id=1, confirm_with=2, keep=True)["deadlocks"]
    assert kept["status"] == "candidate"
    why = ask(path, "why", snapshot_id=1, subject="task:a", confirm_with=2)
    assert why["sentence"].endswith("It is not there in snapshot 2, so it was no deadlock.")


def test_a_circle_with_a_time_limit_is_explained_by_it(tmp_path: Path) -> None:
    db = new_database(tmp_path / "limit.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    s.node("task:a", "p-1", "a")
    s.node("task:b", "p-1", "b", timeout_s=3.0)
    s.edge("task:a", "task:b")
    s.edge("task:b", "task:a")
    db.close()
    why = ask(tmp_path / "limit.sqlite", "why", subject="task:a")
    assert (why["root"]["kind"], steps(why)) == ("timeout", ["a", "b", "a"])
    assert why["root"]["node"]["name"] == "b"
    assert "waits for task 'b', which waits for task 'a' again: " in why["sentence"]
    assert why["sentence"].endswith("within 3 s (and if it then tries again, nothing has moved).")
    worst = ask(tmp_path / "limit.sqlite", "why")
    assert worst["root"]["kind"] == "timeout", "it may well try again, and again"


@pytest.mark.parametrize(
    ("kind", "attrs", "reason"),
    [
        ("sleep", {"remaining_s": 3598.2}, "a timer will end this by itself, in 59 min 58 s"),
        ("timeout", {"remaining_s": 4.04}, "a time limit will end this by itself, in 4.0 s"),
        ("sleep", {}, "a timer will end this by itself"),
        ("net_accept", {"not_accepted": 1}, "1 connection waits there to be accepted"),
        ("net_accept", {"not_accepted": 0}, "it waits for somebody to connect"),
        ("pool", {}, "who holds it cannot be seen"),
    ],
)
def test_what_is_told_of_a_root(
    tmp_path: Path, kind: str, attrs: dict[str, Any], reason: str
) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    s.node("task:p-1/1", "p-1", "t")
    s.edge("task:p-1/1", s.node(f"{kind}:p-1/2", "p-1", "it", **attrs))
    db.close()
    assert ask(tmp_path / "d.sqlite", "why", subject="t")["root"]["reason"] == reason


def test_a_pool_says_more_than_the_event_in_it(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    s.node("task:p-1/1", "p-1", "fetch")
    s.edge("task:p-1/1", s.node("notify:p-1/2", "p-1", "event"))
    s.edge("task:p-1/1", s.node("pool:p-1/3", "p-1", "connections", value=0))
    db.close()
    why = ask(tmp_path / "d.sqlite", "why")
    assert steps(why) == ["fetch", "connections"]


def test_a_chain_begins_with_a_task_of_the_program(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    ids = [
        s.node("task:p-1/0", "p-1", "<init>"),
        s.node("joinset:p-1/1", "p-1", "nursery"),
        s.node("task:p-1/2", "p-1", "main"),
        s.node("notify:p-1/3", "p-1", "event"),
    ]
    s.chain(*ids)
    db.close()
    assert steps(ask(tmp_path / "d.sqlite", "why")) == ["main", "event"]


def test_blockers_are_ranked(story: Path) -> None:
    ranked = ask(story, "blockers", limit=100)["blockers"]
    totals = [b["total"] for b in ranked]
    assert totals == sorted(totals, reverse=True)
    queue = next(b for b in ranked if b["node"]["name"] == "events")
    assert (queue["direct"], queue["total"], queue["is_root"]) == (1, 2, True)
    assert not any(b["node"]["kind"] == "lock" for b in ranked), "its holder stands for it"


def test_the_tree_hangs_tasks_from_their_groups(story: Path) -> None:
    (worker,) = ask(story, "tree", process="worker")["processes"]
    lines = [(b["depth"], b["name"]) for b in worker["branches"]]
    at = lines.index((0, "main"))
    assert lines[at : at + 4] == [(0, "main"), (1, "jobs"), (2, "heartbeat"), (2, "produce")]


def test_a_node_with_its_edges(story: Path) -> None:
    node = ask(story, "node", subject="basket")
    assert [(e["src"][-1], e["dst"][-1]) for e in node["edges"]] == [("9", "1"), ("2", "9")]
    assert node["attrs"]["locked"] is True


def test_diff_tells_what_appeared_and_what_waits_on(story: Path) -> None:
    found = ask(story, "diff")
    assert (found["before"], found["after"], found["seconds"]) == (1, 2, 10.0)
    assert [n["name"] for n in found["nodes_appeared"]] == ["newcomer"]
    assert found["counts"]["nodes_gone"] == found["counts"]["edges_appeared"] == 0
    back = ask(story, "diff", before=2, after=1)
    assert [n["name"] for n in back["nodes_gone"]] == ["newcomer"]
    waiting = {p["waiter"]["name"]: p for p in found["persisting"]}
    assert (waiting["charge"]["since_snapshot"], waiting["charge"]["seconds"]) == (1, 10.0)


def test_diff_tells_what_moved(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    for number, state, line in ((1, "running", 5), (2, "waiting", 9)):
        s = SnapshotBuilder(db, number, START_NS + number * SECOND)
        s.node("task:a", "p-1", "a", state=state, at=f"/x.py:{line} f")
    db.close()
    (change,) = ask(tmp_path / "d.sqlite", "diff")["nodes_changed"]
    assert change["before"] == {"state": "running", "location": "/x.py:5"}
    assert change["after"] == {"state": "waiting", "location": "/x.py:9"}


def test_stuck_needs_the_wait_in_every_snapshot(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    for number in range(1, 6):
        s = SnapshotBuilder(db, number, START_NS + number * 3 * SECOND)
        for name in "ab":
            s.node(f"task:{name}", "p-1", name)
        s.node("lock:l", "p-1", "l")
        s.edge("task:a", "lock:l")
        if number != 3:
            s.edge("task:b", "lock:l")
    db.close()
    path = tmp_path / "d.sqlite"
    since = {w["waiter"]["name"]: w["since_snapshot"] for w in ask(path, "stuck", count=2)["waits"]}
    assert since == {"a": 1, "b": 4}
    (only,) = ask(path, "stuck", count=3)["waits"]
    assert (only["waiter"]["name"], only["seconds"]) == ("a", 12.0)
    with pytest.raises(NotFound, match="there are only 5 snapshots"):
        ask(path, "stuck", count=6)


def test_a_silent_process_is_recognised_by_its_socket(tmp_path: Path) -> None:
    """A socket's id tells no process: an earlier snapshot in which it answered does."""
    db = new_database(tmp_path / "d.sqlite")
    ours, theirs = "socket:tcp:1.1.1.1:5>2.2.2.2:80", "socket:tcp:2.2.2.2:80>1.1.1.1:5"
    for number, status in ((1, "responded"), (2, "timeout")):
        s = SnapshotBuilder(db, number, START_NS + number * SECOND)
        s.process("web", 1)
        s.process("db", 2, status=status)
        s.node("task:web-1/1", "web-1", "call")
        s.node(ours, "web-1")
        s.edge("task:web-1/1", ours)
        if status == "responded":
            s.node(theirs, "db-2")
            s.edge(ours, theirs)
        else:
            s.unresolved(ours, theirs, "no_such_node", None)
    db.close()
    why = ask(tmp_path / "d.sqlite", "why")
    assert why["root"]["kind"] == "unanswered"
    assert "db-2 did not answer in time" in why["sentence"]


def test_for_how_long_a_connection_has_been_quiet_is_told(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("web", 1)
    s.process("db", 2)
    ours, theirs = "socket:tcp:1.1.1.1:5>2.2.2.2:80", "socket:tcp:2.2.2.2:80>1.1.1.1:5"
    s.node("task:web-1/1", "web-1", "call")
    s.node("task:web-1/2", "web-1", "fetch")
    s.node("task:db-2/1", "db-2", "serve")
    s.node(ours, "web-1", quiet_s=200.0)
    s.node(theirs, "db-2")
    outside = s.node("socket:tcp:1.1.1.1:6>9.9.9.9:80", "web-1", quiet_s=4.24)
    s.chain("task:web-1/1", ours, theirs, "task:db-2/1", "notify:db-2/1")
    s.edge("task:web-1/2", outside)
    db.close()
    why = ask(tmp_path / "d.sqlite", "why", subject="call")
    assert "> 2.2.2.2:80" not in why["sentence"]
    assert "over the connection 1.1.1.1:5 to 2.2.2.2:80 (quiet for 3 min 20 s)" in why["sentence"]
    why = ask(tmp_path / "d.sqlite", "why", subject="fetch")
    assert why["sentence"].endswith(
        "the other end of the connection is no connected process,"
        " and nothing has gone over it for 4.2 s."
    )


def test_files_are_never_created(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no database file"):
        ask(tmp_path / "none.sqlite", "why")
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match="cannot read"):
        ask(tmp_path / "text", "why")
    db = new_database(tmp_path / "new.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SchemaVersionError, match="newer peepsd"):
        ask(tmp_path / "new.sqlite", "why")


def test_a_snapshot_in_which_nothing_waits(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    SnapshotBuilder(db, 1, START_NS).process("p", 1)
    db.close()
    path = tmp_path / "d.sqlite"
    assert ask(path, "why")["sentence"] == "Nothing waits for anything that could be seen."
    assert ask(path, "check") == {
        "snapshot_id": 1, "confirmed_by": None, "ok": True, "findings": [], "sql": {},
    }  # fmt: skip
    assert ask(path, "blockers")["blockers"] == []
    assert "Nothing in p-1 waits" in ask(path, "why", subject="p")["sentence"]


def test_handle_speaks_for_errors(story: Path) -> None:
    def handle(**order: Any) -> bytes:
        return questions.handle(orjson.dumps({"database": str(story), "args": {}, **order}))

    assert handle(question="deadlocks")[:1] == b"+"
    refused = handle(question="why", args={"snapshot_id": 9})
    assert refused[:1] == b"-"
    assert orjson.loads(refused[1:])["status"] == 404


WEIRD = [None, True, -1, 10**30, 1e300, "text", "", [], {}, ["x", {"y": None}], {"any": "any"}]
NAMES = (
    "name", "state", "stack", "wait", "ctx", "ctx.location", "ctx.file", "ctx.line",
    "ctx.function", "maxsize", "size", "putters", "getters", "unfinished", "value", "total",
    "waiters", "locked", "cut", "not_turned_s", "timeout_s", "remaining_s", "type",
    "child_pid", "problems", "coroutine", "cancel_scopes", "age_ms", "inferred",
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(WEIRD)))
def test_attributes_may_be_anything(number: int, tmp_path: Path) -> None:
    """Processes in any language send what they like; no answer may fail for it."""
    db = new_database(tmp_path / "d.sqlite")
    for snapshot_id in (1, 2):
        s = SnapshotBuilder(db, snapshot_id, START_NS + snapshot_id * 10 * SECOND)
        s.process("p", 1)
        s.process("q", 2)
        kinds = ("task", "thread", "lock", "queue", "semaphore", "joinset", "event_loop", "command",
                 "process", "sleep", "tx", "request", "socket", "net_accept", "x")  # fmt: skip
        for i, kind in enumerate(kinds):
            owner = ("p-1", "q-2")[i % 2]
            attrs = {a: WEIRD[(number + i + j) % len(WEIRD)] for j, a in enumerate(NAMES)}
            s.node(f"{kind}:1", owner, **attrs)
        for src in kinds:
            for dst in kinds[:-1]:
                if (len(src) * 7 + len(dst) * 3 + number) % 3 == 0:
                    s.edge(f"{src}:1", f"{dst}:1", op=WEIRD[number], inferred=WEIRD[-number])
    db.close()
    path = tmp_path / "d.sqlite"
    for question, args in (
        ("why", {}), ("why", {"subject": "p"}), ("deadlocks", {"confirm_with": 1}),
        ("check", {"confirm_with": 1, "keep": True}), ("blockers", {}), ("tree", {}), ("waits", {}),
        ("diff", {}), ("stuck", {"count": 2}), ("export", {"format": "perfetto"}),
        ("export", {"format": "speedscope"}), ("export", {"format": "dot"}),
        ("export", {"format": "graphml"}), ("export", {"format": "mermaid"}),
    ):  # fmt: skip
        assert ask(path, question, **args)
    for kind in ("task", "queue", "event_loop"):
        assert ask(path, "node", subject=f"{kind}:1")
        assert ask(path, "why", subject=f"{kind}:1")


def test_a_child_that_takes_part_is_looked_into(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("parent", 1)
    s.process("child", 2)
    s.node("thread:parent-1/1", "parent-1", "MainThread")
    s.node("command:parent-1/c", "parent-1", "Popen", child_pid=2)
    s.node("thread:child-2/1", "child-2", "MainThread")
    s.node("lock:child-2/l", "child-2", "taken")
    s.edge("thread:parent-1/1", "command:parent-1/c")
    s.edge("thread:child-2/1", "lock:child-2/l")
    db.close()
    why = ask(tmp_path / "d.sqlite", "why", subject="parent")
    assert steps(why) == ["MainThread", "Popen", "MainThread", "taken"]
    assert why["root"]["reason"] == "it is taken, and by whom cannot be seen"


def test_a_task_is_found_by_its_function(tmp_path: Path) -> None:
    """Before a part of another's name: trio calls its tasks module.function."""
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    s.node("task:p-1/1", "p-1", "<TrioToken.run_sync_soon task>")
    s.node("task:p-1/2", "p-1", "__main__.ask")
    s.node("task:p-1/3", "p-1", "Task-7", at="/x.py:1 poll")
    db.close()
    for text, node_id in (("ask", "task:p-1/2"), ("poll", "task:p-1/3"), ("Token", "task:p-1/1")):
        assert ask(tmp_path / "d.sqlite", "why", subject=text)["subject"]["id"] == node_id


def test_attributes_of_any_shape_are_survived(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    odd = [None, 5, "x", [1], {"file": 3, "line": "x", "function": [1]}, True]
    for number, value in enumerate(odd):
        names = ("name", "state", "wait", "timeout_s", "stack", "cancel_scopes", "ctx.file", "loop")
        s.node(f"task:{number}", "p-1", **dict.fromkeys(names, value))
        s.node(f"queue:{number}", "p-1", **dict.fromkeys(("maxsize", "size", "putters"), value))
        s.node(f"semaphore:{number}", "p-1", **dict.fromkeys(("value", "total"), value))
        s.node(f"event_loop:{number}", "p-1", cut="blocked", not_turned_s=value)
        s.chain(*(f"{kind}:{number}" for kind in ("task", "semaphore", "queue", "event_loop")))
    s.node("task:frames", "p-1", stack=odd)
    db.close()
    path = tmp_path / "d.sqlite"
    for question in ("why", "check", "blockers", "tree", "waits"):
        ask(path, question)
    for format_ in exports.FORMATS:
        ask(path, "export", format=format_)
    assert ask(path, "node", subject="task:frames")["stack"] == [
        "None", "5", "x", "[1]", "", "True",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "attrs",
    [
        '{"name":"x","n":1e999,"timeout_s":1e999,"child_pid":1e999,"inferred":1e999,"wait":"any"}',
        f'{{"name":"x","n":{"9" * 5000},"timeout_s":{"9" * 5000}}}',
    ],
)
def test_attributes_that_cannot_be_read_cost_only_themselves(tmp_path: Path, attrs: str) -> None:
    """Earlier versions stored what no reader takes."""
    path = tmp_path / "d.sqlite"
    db = new_database(path)
    kinds = ("task", "thread", "command", "queue", "socket")
    for snapshot_id in (1, 2):
        s = SnapshotBuilder(db, snapshot_id, START_NS + snapshot_id * SECOND)
        s.process("p", 1)
        for kind in kinds:
            s.node(f"{kind}:bad", "p-1")
        s.chain(*(f"{kind}:bad" for kind in kinds))
        s.node("task:good", "p-1", "good")
        s.edge("task:good", "queue:bad")
    for table in ("nodes", "edges"):
        db.execute(
            f"UPDATE {table} SET attrs_json = ? WHERE attrs_json <> ?", (attrs, '{"name": "good"}')
        )
    db.close()
    for question in ("why", "deadlocks", "check", "blockers", "tree", "waits", "diff"):
        assert ask(path, question)
    for format_ in exports.FORMATS:
        assert ask(path, "export", format=format_)
    told = ask(path, "node", subject="task:bad")
    assert "attrs_unreadable" in told["attrs"]
    assert told["attrs"]["n"] in ("1e999", "9" * 5000)
    assert steps(ask(path, "why", subject="good"))[0] == "good"


def a_huge_name(path: Path, size: int, waiters: int) -> Path:
    db = new_database(path)
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    s.node("lock:p-1/L", "p-1", "L" * size, at="/x.py:1 held")
    for n in range(waiters):
        s.node(f"task:p-1/{n}", "p-1", f"t{n}", state="waiting")
        s.edge(f"task:p-1/{n}", "lock:p-1/L")
    db.close()
    return path


@pytest.mark.parametrize(
    ("question", "args"),
    [
        ("why", {}),
        ("why", {"subject": "t1"}),
        ("check", {}),
        ("blockers", {}),
        ("tree", {}),
        ("waits", {}),
        ("query", {"name": "waits"}),
        ("query", {"name": "blockers"}),
        ("export", {"format": "dot"}),
    ],
)
def test_a_huge_name_is_cut_wherever_it_is_told(
    tmp_path: Path, question: str, args: dict[str, Any]
) -> None:
    path = a_huge_name(tmp_path / "d.sqlite", 200_000, 30)
    found = questions.answer(str(path), question, args)
    assert len(found) < 30 * 5000 + 20_000
    if question not in ("tree", "check"):  # they do not tell of locks
        assert "… (cut; 200000 characters)" in found.decode()


def test_the_rows_of_a_query_have_a_size(tmp_path: Path) -> None:
    path = a_huge_name(tmp_path / "d.sqlite", 5000, 1500)
    found = ask(path, "query", name="waits", limit=5000)
    assert found["truncated"] == "bytes"
    assert 900 < found["row_count"] == len(found["rows"]) < 1500
    assert ask(path, "query", name="waits", limit=500)["truncated"] is None


def test_an_answer_that_nobody_can_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(a_huge_name(tmp_path / "d.sqlite", 10, 1500))
    monkeypatch.setattr(questions, "MAX_ANSWER_BYTES", 1 << 16)
    order = {"database": path, "question": "waits", "args": {"limit": 5000}}
    refused = questions.handle(orjson.dumps(order))
    assert refused[:1] == b"-"
    error = orjson.loads(refused[1:])
    assert error["status"] == 413
    assert "the daemon gives at most" in error["message"]
    order["args"] = {"limit": 10}
    assert questions.handle(orjson.dumps(order))[:1] == b"+"


async def test_named_queries_leave_a_worker_to_the_others(
    story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyst = Analyst(story, size=2, queue_limit=2)
    held, running = trio.Event(), list[str]()

    async def answer(question: str, args: object) -> bytes:
        running.append(question)
        await held.wait()
        running.remove(question)
        return b"{}"

    monkeypatch.setattr(analyst, "_answer", answer)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(analyst.ask, "query", {})
        nursery.start_soon(analyst.ask, "why", {})
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(running) == ["query", "why"]
        with pytest.raises(TooManyRequests, match="2 named queries wait"):
            await analyst.ask("query", {})
        held.set()
    assert running == []


@pytest.mark.parametrize("question", ["query", "waits"])
def test_rows_that_cannot_be_sorted_are_refused_in_words(tmp_path: Path, question: str) -> None:
    """In a worker no file may grow beyond a limit; what SQLite sorts is in one."""
    path = a_huge_name(tmp_path / "d.sqlite", 200_000, 30)
    order = orjson.dumps({"database": str(path), "question": question, "args": {"name": "waits"}})
    child = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
        "from peepsd.store.questions import handle;"
        "sys.stdout.buffer.write(handle(sys.stdin.buffer.read()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", child], input=order, capture_output=True, timeout=60
    )
    assert done.stdout[:1] == b"-", done.stderr
    error = orjson.loads(done.stdout[1:])
    assert (error["status"], "room" in error["message"]) == (413, True)
