"""What `peeps check` makes of a database written by hand (tests/support/answers_db.py)."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.answers_db import (
    SECOND,
    START_NS,
    SnapshotBuilder,
    ask,
    new_database,
)


def test_a_loop_blocked_by_one_task_is_one_finding(tmp_path: Path) -> None:
    db = new_database(tmp_path / "loop.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    s.node("event_loop:l", "p-1", "loop", cut="blocked", not_turned_s=9.5)
    s.node("task:spin", "p-1", "spin", state="blocked")
    s.node("task:behind", "p-1", "behind")
    s.edge("event_loop:l", "task:spin")
    s.edge("task:behind", "event_loop:l")
    s.node("task:foreign", "p-1", "foreign", state="blocked")
    db.close()
    found = [f["subject"]["name"] for f in ask(tmp_path / "loop.sqlite", "check")["findings"]]
    assert sorted(found) == ["foreign", "spin"]


def test_a_channel_without_a_buffer_is_no_full_queue(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    s.node("task:send", "p-1", "send", state="waiting")
    s.node("tx:c", "p-1", "metrics", capacity=0, occupancy=0)
    s.edge("task:send", "tx:c")
    db.close()
    found = ask(tmp_path / "d.sqlite", "check")["findings"]
    (finding,) = [f for f in found if f["kind"] == "full-queue"]
    assert finding["title"] == "Nobody receives at a rendezvous"
    assert "has no buffer (capacity 0): 1 waits to hand something over" in finding["sentence"]
    assert "full" not in finding["sentence"]


def test_check_ranks_and_confirms(story: Path) -> None:
    once = ask(story, "check")
    twice = ask(story, "check", snapshot_id=2, confirm_with=1)
    kinds = ["deadlock", "unanswered", "exhausted-pool", "blocked-loop", "full-queue"]
    assert [f["kind"] for f in once["findings"]] == kinds
    assert {f["kind"]: f["confirmed"] for f in twice["findings"]} == dict.fromkeys(kinds, True)
    assert not once["ok"]
    levels = {f["kind"]: f["confidence"]["level"] for f in once["findings"]}
    assert levels["full-queue"] == levels["blocked-loop"] == "low", "seen once it may be a moment"
    assert set(once["sql"]) == {f["query"] for f in once["findings"]}


def test_the_sql_of_a_finding_finds_it_again(story: Path) -> None:
    found = ask(story, "check")
    for finding in found["findings"]:
        rows = ask(story, "sql", sql=found["sql"][finding["query"]], params=[100])
        assert rows["row_count"] > 0, finding["kind"]
        if finding["subject"] is not None:
            shown = {cell for row in rows["rows"] for cell in row}
            assert finding["subject"]["id"] in shown, finding["kind"]


@pytest.mark.parametrize(
    ("timers", "attrs", "unsent", "steps"),
    [
        (("1", "2"), {"remaining_s": 60.0}, (0, 0), (7, 7)),  # the server waits for something else
        (("1", "1"), {"remaining_s": 60.0}, (10, 20), (7, 7)),  # bytes have moved
        (("1", "1"), {"remaining_s": 0.01}, (0, 0), (7, 7)),  # it is about to answer
        (("1", "1"), {"remaining_s": 60.0}, (0, 0), (7, 9)),  # it has run in between
    ],
)
def test_requests_that_follow_each_other_at_one_place_are_not_old(
    tmp_path: Path,
    timers: tuple[str, str],
    attrs: dict[str, float],
    unsent: tuple[int, int],
    steps: tuple[int, int],
) -> None:
    db = new_database(tmp_path / "d.sqlite")
    ours, theirs = "socket:tcp:1.1.1.1:5>2.2.2.2:80", "socket:tcp:2.2.2.2:80>1.1.1.1:5"
    for number in (1, 2):
        s = SnapshotBuilder(db, number, START_NS + number * 60 * SECOND)
        s.process("web", 1)
        s.process("db", 2)
        s.node("task:web-1/1", "web-1", "call", at="/w.py:1 call")
        s.node("task:db-2/1", "db-2", "serve", at="/d.py:1 serve", steps=steps[number - 1])
        timer = s.node(f"sleep:db-2/{timers[number - 1]}", "db-2", **attrs)
        s.node(ours, "web-1", unsent_bytes=unsent[number - 1])
        s.node(theirs, "db-2")
        s.chain("task:web-1/1", ours, theirs, "task:db-2/1", timer)
    db.close()
    assert ask(tmp_path / "d.sqlite", "check")["findings"] == []


def test_an_old_request_is_told_at_both_ends(tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    ours, theirs = "socket:tcp:1.1.1.1:5>2.2.2.2:80", "socket:tcp:2.2.2.2:80>1.1.1.1:5"
    for number, second in ((1, 0), (2, 3), (3, 6)):
        s = SnapshotBuilder(db, number, START_NS + second * SECOND)
        s.process("web", 1)
        s.process("db", 2)
        s.node("task:web-1/1", "web-1", "call", at="/w.py:1 call")
        s.node("task:db-2/1", "db-2", "serve", at="/d.py:1 serve")
        s.node("sleep:db-2/1", "db-2")
        s.node(ours, "web-1")
        s.node(theirs, "db-2")
        s.chain("task:web-1/1", ours, theirs, "task:db-2/1", "sleep:db-2/1")
    db.close()
    path = tmp_path / "d.sqlite"
    assert ask(path, "check", snapshot_id=2)["findings"] == [], "three seconds are not old"
    (finding,) = ask(path, "check", snapshot_id=3)["findings"]
    assert finding["kind"] == "old-request"
    assert "has waited for at least 6 s for task 'serve'" in finding["sentence"]
    assert [e.partition(":")[0] for e in finding["evidence"]] == [
        "at the calling end",
        "at the serving end",
    ]


@pytest.mark.parametrize(
    ("seconds_apart", "before", "now", "said"),
    [
        (None, {}, {}, None),  # one snapshot, and the kernel does not tell
        (None, {}, {"quiet_s": 42.0}, "has waited for at least 42 s for task 'serve'"),
        (None, {}, {"quiet_s": 4.0}, None),
        (None, {}, {"quiet_s": 42.0, "accepted": True}, None),  # waits for the next request
        (None, {}, {"quiet_s": 42.0, "received_last": True}, None),  # waits for news
        (None, {}, {"quiet_s": 42.0, "received_last": False}, "at least 42 s"),
        (60, {"quiet_s": 1.0}, {"quiet_s": 61.0}, "at least 61 s"),
        (60, {"quiet_s": 1.0}, {"quiet_s": 61.0, "accepted": True}, "at least 60 s"),
        (60, {}, {"quiet_s": 0.1}, None),  # something has just moved
        (60, {"bytes_sent": 10}, {"bytes_sent": 20}, None),
        (60, {"bytes_received": 10}, {"bytes_received": 10}, "at least 60 s"),
    ],
)
def test_what_the_kernel_counts_tells_an_old_request_from_a_new_one(
    tmp_path: Path,
    seconds_apart: int | None,
    before: dict[str, Any],
    now: dict[str, Any],
    said: str | None,
) -> None:
    db = new_database(tmp_path / "d.sqlite")
    ours, theirs = "socket:tcp:1.1.1.1:5>2.2.2.2:80", "socket:tcp:2.2.2.2:80>1.1.1.1:5"
    seen = [(1, START_NS, before)] if seconds_apart is not None else []
    for number, at_ns, told in (*seen, (2, START_NS + (seconds_apart or 0) * SECOND, now)):
        s = SnapshotBuilder(db, number, at_ns)
        s.process("web", 1)
        s.process("db", 2)
        s.node("task:web-1/1", "web-1", "call", at="/w.py:1 call")
        s.node("task:db-2/1", "db-2", "serve", at="/d.py:1 serve")
        s.node("notify:db-2/1", "db-2")
        s.node(ours, "web-1", **told)
        s.node(f"{ours}:waited", "web-1", **told)
        s.node(theirs, "db-2")
        s.chain("task:web-1/1", f"{ours}:waited", theirs, "task:db-2/1", "notify:db-2/1")
    db.close()
    found = ask(tmp_path / "d.sqlite", "check")["findings"]
    sentences = [f["sentence"] for f in found if f["kind"] == "old-request"]
    assert [said in sentence for sentence in sentences] == ([True] if said else [])


def two_snapshots(path: Path, fill: Any) -> dict[str, Any]:
    """What a check confirms of two snapshots of one process; `fill` gets each one's number."""
    db = new_database(path)
    for number in (1, 2):
        s = SnapshotBuilder(db, number, START_NS + number * SECOND)
        s.process("p", 1)
        fill(s, number)
    db.close()
    return ask(path, "check", snapshot_id=2, confirm_with=1)


@pytest.mark.parametrize(("steps", "found"), [((7, 7), ["unserved"]), ((7, 9), [])])
def test_who_ran_in_between_waits_for_the_next_one(
    tmp_path: Path, steps: tuple[int, int], found: list[str]
) -> None:
    """Another future may have the address, and so the id, of one that is long done."""

    def fill(s: SnapshotBuilder, number: int) -> None:
        s.node("thread:p-1/1", "p-1", "main", state="waiting", steps=steps[number - 1])
        s.node("future:p-1/2", "p-1", "answer")
        s.edge("thread:p-1/1", "future:p-1/2")

    check = two_snapshots(tmp_path / "d.sqlite", fill)
    assert [f["kind"] for f in check["findings"] if f["confirmed"]] == found


@pytest.mark.parametrize(("limit", "found"), [(5.0, []), (3600.0, ["unserved"] * 2)])
def test_what_goes_on_by_itself_may_provide_for_others(
    tmp_path: Path, limit: float, found: list[str]
) -> None:
    """A threading.Timer is a thread that waits, with a time limit, for not being cancelled."""

    def fill(s: SnapshotBuilder, number: int) -> None:
        s.node("thread:p-1/1", "p-1", "main", state="waiting")
        s.node("thread:p-1/3", "p-1", "timer", state="waiting", timeout_s=limit)
        s.node("future:p-1/2", "p-1", "answer")
        s.node("notify:p-1/4", "p-1", "cancelled")
        s.edge("thread:p-1/1", "future:p-1/2")
        s.edge("thread:p-1/3", "notify:p-1/4")

    check = two_snapshots(tmp_path / "d.sqlite", fill)
    assert [f["kind"] for f in check["findings"]] == found


@pytest.mark.parametrize(
    ("kind", "attrs", "found"),
    [
        ("event_loop", {}, ["unserved"]),  # one that does not tell
        ("event_loop", {"listens_to": 0, "next_timer_s": 3600.0}, ["unserved"]),
        ("event_loop", {"listens_to": 1}, []),
        ("event_loop", {"listens_to": 0, "next_timer_s": 0.5}, []),
        ("socket", {}, []),
    ],
)
def test_what_something_from_outside_may_end_is_not_unserved(
    tmp_path: Path, kind: str, attrs: dict[str, Any], found: list[str]
) -> None:
    def fill(s: SnapshotBuilder, number: int) -> None:
        s.node("task:p-1/1", "p-1", "main", state="waiting")
        s.node("notify:p-1/2", "p-1", "stop")
        s.node(f"{kind}:p-1/3", "p-1", "loop", **attrs)
        s.edge("task:p-1/1", "notify:p-1/2")

    check = two_snapshots(tmp_path / "d.sqlite", fill)
    assert [f["kind"] for f in check["findings"]] == found


@pytest.mark.parametrize(
    ("attrs", "found"),
    [({}, ["unserved"]), ({"signal_handlers": 1}, []), ({"problems": {"sockets": "E"}}, [])],
)
def test_what_a_signal_may_end_is_not_unserved(
    tmp_path: Path, attrs: dict[str, Any], found: list[str]
) -> None:
    def fill(s: SnapshotBuilder, number: int) -> None:
        s.node("thread:p-1/1", "p-1", "main", state="waiting")
        s.node("notify:p-1/2", "p-1", "stop")
        s.node("process:p-1/self", "p-1", "p", **attrs)
        s.edge("thread:p-1/1", "notify:p-1/2")

    check = two_snapshots(tmp_path / "d.sqlite", fill)
    assert [f["kind"] for f in check["findings"]] == found


@pytest.mark.parametrize(
    ("attrs", "found"),
    [
        ({"type": "queue.Queue"}, ["unserved"]),
        ({"type": "multiprocessing.queues.Queue"}, []),
        ({"type": "concurrent.futures.process._SafeQueue", "shared": True}, []),
    ],
)
def test_what_processes_share_may_be_served_elsewhere(
    tmp_path: Path, attrs: dict[str, Any], found: list[str]
) -> None:
    def fill(s: SnapshotBuilder, number: int) -> None:
        s.node("thread:p-1/1", "p-1", "main", state="waiting")
        s.node("queue:p-1/2", "p-1", "jobs", **attrs)
        s.edge("thread:p-1/1", "queue:p-1/2")

    check = two_snapshots(tmp_path / "d.sqlite", fill)
    assert [f["kind"] for f in check["findings"]] == found


@pytest.mark.parametrize(
    ("attrs", "severity"),
    [({}, "warning"), ({"timeout_s": 4.5}, "info"), ({"timeout_s": "?"}, "warning")],
)
def test_a_shielded_wait_with_a_time_limit_is_not_grave(
    tmp_path: Path, attrs: dict[str, Any], severity: str
) -> None:
    scopes = [{"shield": True}, {"cancel_called": True}]

    def fill(s: SnapshotBuilder, number: int) -> None:
        s.node("task:p-1/1", "p-1", "cleanup", state="waiting", cancel_scopes=scopes, **attrs)
        s.node("sleep:p-1/2", "p-1")
        s.edge("task:p-1/1", "sleep:p-1/2")

    (finding,) = two_snapshots(tmp_path / "d.sqlite", fill)["findings"]
    assert (finding["kind"], finding["severity"]) == ("shielded-task", severity)
    assert ("ends that within 4.5 s" in finding["sentence"]) == (severity == "info")


def a_request(path: Path, age_s: float) -> Path:
    db = new_database(path)
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("web", 1)
    s.process("db", 2)
    s.node("task:web-1/1", "web-1", "call", at="/w.py:1 call")
    s.node("task:db-2/1", "db-2", "serve", at="/d.py:1 serve")
    s.node("request:t-1", "web-1", "GET /price", age_s=age_s)
    s.node("response:t-1", "db-2", "GET /price", age_s=age_s)
    s.node("notify:db-2/1", "db-2", "never")
    s.chain("task:web-1/1", "request:t-1", "response:t-1", "task:db-2/1", "notify:db-2/1")
    s.node("socket:tcp:1>2", "db-2")
    db.close()
    return path


def test_a_request_that_tells_its_age(tmp_path: Path) -> None:
    young = ask(a_request(tmp_path / "young.sqlite", 0.2), "check")
    old = ask(a_request(tmp_path / "old.sqlite", 42.0), "check")
    assert not any(f["kind"] == "old-request" for f in young["findings"])
    (finding,) = (f for f in old["findings"] if f["kind"] == "old-request")
    assert (
        "request 'GET /price' (web-1) has been open for 42 s; task 'serve'" in finding["sentence"]
    )
    assert finding["evidence"][0].startswith("at the calling end: task 'call' (web-1")
    assert "event 'never'" in finding["evidence"][1]
