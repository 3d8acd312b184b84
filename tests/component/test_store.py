"""The store on real files: transactions, clashes, migrations, recovery, retention."""

import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from peepsd.core.chunks import Chunk
from peepsd.core.events import EventLedger
from peepsd.core.gather import Status
from peepsd.core.happenings import IngestProblem
from peepsd.core.records import Completion, ProcessRecord, ReplyRecord
from peepsd.core.reply import Reply, pack_reply, parse_peer_message, unpack_reply
from peepsd.errors import SchemaVersionError, StoreError
from peepsd.store import schema
from peepsd.store.database import Database, open_database
from peepsd.store.janitor import Janitor

from ..support.peers import graph


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "peeps.sqlite")


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def size(path: str) -> int:
    return Path(path).stat().st_size


def query(path: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(sql, parameters).fetchall()
    finally:
        db.close()


def reply_of(process: str, pid: int, content: Any, sid: int = 1) -> Reply:
    message = {
        "type": "graph_reply", "snapshot_id": sid, "process": process, "pid": pid,
        "graph": content,
    }  # fmt: skip
    reply = parse_peer_message(json.dumps(message).encode())
    assert isinstance(reply, Reply)
    return reply


def record(n: int, status: Status = Status.RESPONDED, **more: Any) -> ProcessRecord:
    return ProcessRecord(f"p-{n}", "p", n, status, n, **more)


async def store(db: Database, sid: int, n: int, content: Any, *, packed: bool = False) -> Any:
    reply = reply_of("p", n, content, sid)
    if packed:
        reply = unpack_reply(pack_reply(reply))
    return await db.writer.store_reply(ReplyRecord(sid, record(n), f"p-{n}", reply))


async def begin(db: Database, *peers: int) -> int:
    sid = await db.writer.begin(1, 5000)
    await db.writer.freeze(
        sid, 2, [record(n, Status.ERROR, error_text="unanswered") for n in peers]
    )
    return sid


async def complete(db: Database, sid: int, statuses: dict[int, Status]) -> int:
    silent = [
        (f"p-{n}", record(n, status))
        for n, status in statuses.items()
        if status is not Status.RESPONDED
    ]
    keys = {f"p-{n}": status for n, status in statuses.items()}
    return await db.writer.complete(Completion(sid, 99, 1.5, silent, keys))


@pytest.mark.parametrize("packed", [False, True])
async def test_a_snapshot_from_begin_to_end(path: str, packed: bool) -> None:
    content = graph("p", nodes=3000, edges=2500)
    content["edges"] += [
        {"src": "task:p/1", "dst": "lock:p-2/9", "kind": "needs", "attrs": {"a": 1}},
        {"src": "lock:p-3.x1/9", "dst": "task:p/1", "kind": "needs"},
        {"src": "lock:p-1/gone", "dst": "socket:tcp:a>b", "kind": "needs"},
    ]
    async with open_database(path, 0) as db:
        sid = await begin(db, 1, 2, 3)
        stored = await store(db, sid, 1, content, packed=packed)
        assert (stored.nodes, stored.edges, stored.problems) == (3000, 2503, [])
        ends = {1: Status.RESPONDED, 2: Status.TIMEOUT, 3: Status.DISCONNECTED}
        assert await complete(db, sid, ends) == 4
        summary = await db.reader.snapshot(sid)
    assert summary is not None
    assert summary["nodes_by_kind"] == {"task": 3000}
    assert [p["status"] for p in summary["processes"]] == ["responded", "timeout", "disconnected"]
    assert query(path, "SELECT count(*) FROM nodes") == [(3000,)]
    assert query(
        path, "SELECT src_id, missing_side, reason, referenced_proc_key FROM unresolved_edges"
              " ORDER BY src_id, missing_side"
    ) == [
        ("lock:p-1/gone", "dst", "no_such_node", None),
        ("lock:p-1/gone", "src", "no_such_node", "p-1"),
        ("lock:p-3.x1/9", "src", "process_disconnected", "p-3"),
        ("task:p/1", "dst", "process_timeout", "p-2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reason", "owner", "waits"),
    [
        (Status.TIMEOUT, "process_timeout", "p-2", 1),
        (Status.DISCONNECTED, "process_disconnected", "p-2", 1),
        (Status.RESPONDED, "no_such_node", None, None),  # it says that it has no such socket
    ],
)
async def test_whose_a_missing_socket_is_an_earlier_snapshot_tells(
    path: str, status: Status, reason: str, owner: str | None, waits: int | None
) -> None:
    def ends(client: list[str], server: list[str]) -> tuple[Any, Any]:
        ids = [{"id": i, "kind": i.partition(":")[0]} for i in (*client, *server)]
        edges = [{"src": "socket:c>s", "dst": "socket:s>c", "kind": "needs"}]
        mine = {"nodes": ids[: len(client)], "edges": edges}
        return mine, {"nodes": ids[len(client) :], "edges": []}

    async with open_database(path, 0) as db:
        for sid, (of_client, of_server), ended in (
            (1, ends(["socket:c>s"], ["socket:s>c"]), Status.RESPONDED),
            (2, ends(["socket:c>s"], []), status),
        ):
            assert await begin(db, 1, 2, 3) == sid
            await store(db, sid, 1, of_client)
            if ended is Status.RESPONDED:
                await store(db, sid, 2, of_server)
            statuses = {1: Status.RESPONDED, 2: ended, 3: Status.TIMEOUT}
            await complete(db, sid, statuses)
    assert query(path, "SELECT reason, referenced_proc_key FROM unresolved_edges") == [
        (reason, owner)
    ]
    into = query(path, "SELECT edges_into_it FROM unanswered WHERE snapshot_id=2 AND pid=2")
    assert into == ([(waits,)] if waits else [])


async def test_on_a_clash_the_first_stays_and_it_is_on_record(path: str) -> None:
    async with open_database(path, 0) as db:
        sid = await begin(db, 1, 2)
        await store(db, sid, 1, graph("same", nodes=2, edges=1))
        stored = await store(db, sid, 2, graph("same", nodes=3, edges=1))
    assert (stored.nodes, stored.edges) == (1, 0)
    assert {p.event_kind: p.count for p in stored.problems} == {
        "duplicate_node": 2,
        "duplicate_edge": 1,
    }
    assert query(path, "SELECT proc_key, count(*) FROM nodes GROUP BY 1") == [
        ("p-1", 2),
        ("p-2", 1),
    ]
    assert query(path, "SELECT nodes, edges FROM snapshot_processes WHERE pid = 2") == [(1, 0)]


async def test_a_reply_is_stored_whole_or_not_at_all(path: str) -> None:
    async with open_database(path, 0) as db:
        sid = await begin(db, 1)
        reply = reply_of("p", 1, graph("p", nodes=10))
        reply.edge_chunks = [
            Chunk(1, ["a", "b", None, "{}"])
        ]  # NOT NULL is violated after the nodes
        with pytest.raises(StoreError, match="NOT NULL"):
            await db.writer.store_reply(ReplyRecord(sid, record(1), "p-1", reply))
        assert query(path, "SELECT count(*) FROM nodes") == [(0,)]
        assert query(path, "SELECT error_text FROM snapshot_processes") == [("unanswered",)]
        await store(db, sid, 1, graph("p"))  # the writer goes on
    assert query(path, "SELECT count(*) FROM nodes") == [(1,)]


async def test_ids_are_never_used_again(path: str) -> None:
    async with open_database(path, 0) as db:
        first = await begin(db, 1)
        await db.writer.delete_snapshot(first)
    async with open_database(path, 0) as db:
        assert await begin(db, 1) == first + 1


async def test_what_a_crash_cut_short_is_closed_and_says_so(path: str) -> None:
    async with open_database(path, 0) as db:
        sid = await begin(db, 1, 2)
        await store(db, sid, 1, graph("p"))
    async with open_database(path, 777) as db:
        assert db.recovered == ["closed 1 snapshot cut short by a crash"]
        summary = await db.reader.snapshot(sid)
    assert summary is not None
    assert (summary["completed_at_ns"], summary["interrupted"]) == (777, schema.INTERRUPTED)
    assert [(p["status"], p["error_text"]) for p in summary["processes"]] == [
        ("responded", None),
        ("error", "unanswered"),
    ]


async def test_the_file_is_private(path: str) -> None:
    async with open_database(path, 0) as db:
        await begin(db, 1)
        for suffix in ("", "-wal", "-shm"):
            assert mode(path + suffix) == 0o600


async def test_retention_deletes_and_the_file_shrinks(path: str) -> None:
    async with open_database(path, 0) as db:
        janitor = Janitor(db.writer, db.reader, retain_snapshots=2, retain_event_days=7)
        for _ in range(4):
            sid = await begin(db, 1)
            await store(db, sid, 1, graph("p", nodes=8000, edges=8000))
            await complete(db, sid, {1: Status.RESPONDED})
        open_one = await begin(db, 1)  # not complete: not counted, not deleted
        before = size(path) + size(path + "-wal")
        await janitor.sweep()
        after = size(path) + size(path + "-wal")
        assert [s["snapshot_id"] for s in await db.reader.snapshots(10)] == [open_one, 4, 3]
    assert after < 0.7 * before
    for table in ("nodes", "edges", "snapshot_processes", "unresolved_edges"):
        assert query(path, f"SELECT DISTINCT snapshot_id FROM {table} WHERE snapshot_id < 3") == []


async def test_events_expire_by_age(path: str) -> None:
    day = 86400 * 10**9
    async with open_database(path, 0) as db:
        janitor = Janitor(
            db.writer, db.reader, retain_snapshots=5, retain_event_days=7, wall_ns=lambda: 10 * day
        )
        ledger = EventLedger()
        for at in (1, 4):
            ledger.record(IngestProblem(at * day, "decode_error", f"day {at}", proc_key=str(at)))
        await db.writer.write_events(*ledger.drain(0))
        await janitor.sweep()
    assert query(path, "SELECT detail FROM ingest_events") == [("day 4",)]


async def test_the_janitor_writes_events_and_counts_on_after_a_restart(path: str) -> None:
    for expected in (1, 2):
        async with open_database(path, 0) as db, trio.open_nursery() as nursery:
            janitor = Janitor(db.writer, db.reader, retain_snapshots=5, retain_event_days=7)
            await nursery.start(janitor.run)
            janitor.record(IngestProblem(2**62, "decode_error", "x"), 3)
            nursery.cancel_scope.cancel()
        assert query(path, "SELECT count(*), sum(count) FROM ingest_events") == [
            (expected, 3 * expected)
        ]


async def test_events_survive_a_locked_database(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peepsd.store.database.BUSY_TIMEOUT_MS", 1)
    async with open_database(path, 0) as db:
        janitor = Janitor(db.writer, db.reader, retain_snapshots=5, retain_event_days=7)
        janitor.record(IngestProblem(2**62, "decode_error", "x"), 3)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await janitor.flush()
            other.execute("ROLLBACK")
        await janitor.flush()
    assert query(path, "SELECT count FROM ingest_events") == [(3,)]


async def test_a_snapshot_that_could_not_be_closed_is_closed_before_the_next_one(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peepsd.store.database.BUSY_TIMEOUT_MS", 1)
    async with open_database(path, 0) as db:
        sid, whole = await begin(db, 1), await begin(db, 1)
        await complete(db, whole, {1: Status.TIMEOUT})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for interrupted in (sid, whole):
                with pytest.raises(StoreError):
                    await db.writer.interrupt(interrupted, 7, "it was locked")
            other.execute("ROLLBACK")
        await db.writer.begin(2, 5000)
    assert query(path, "SELECT completed_at_ns, interrupted FROM snapshots") == [
        (7, "it was locked"), (99, None), (None, None),
    ]  # fmt: skip


# versions

ORIGINAL = """
CREATE TABLE snapshots (snapshot_id INTEGER PRIMARY KEY AUTOINCREMENT,
    requested_at_ns INTEGER NOT NULL, completed_at_ns INTEGER, timeout_ms INTEGER NOT NULL);
CREATE TABLE snapshot_processes (snapshot_id INTEGER NOT NULL, process TEXT NOT NULL, pid INTEGER,
    proc_key TEXT NOT NULL, status TEXT NOT NULL, recv_at_ns INTEGER, error_text TEXT,
    PRIMARY KEY (snapshot_id, proc_key));
CREATE TABLE nodes (snapshot_id INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    process TEXT NOT NULL, proc_key TEXT NOT NULL, attrs_json TEXT NOT NULL,
    PRIMARY KEY (snapshot_id, id));
CREATE INDEX idx_nodes_kind ON nodes (snapshot_id, kind);
INSERT INTO snapshots VALUES (41, 1, 2, 5000);
INSERT INTO snapshot_processes VALUES (41, 'web', 7, 'web-7', 'responded', 5, NULL);
INSERT INTO snapshot_processes VALUES (41, 'db', 8, 'db-8', 'exploded', 5, NULL);
INSERT INTO nodes VALUES (41, 'task:1', 'task', 'web', 'web-7', '{}');
"""


async def test_the_originals_database_is_taken_over(path: str) -> None:
    db = sqlite3.connect(path)
    db.executescript(ORIGINAL)
    db.close()
    async with open_database(path, 0) as database:
        assert database.recovered == [
            "migrated the database of the original peeps to schema 1",
            "1 rows of it were invalid or duplicates and were left out",
        ]
        assert await begin(database, 1) == 42
    assert query(path, "SELECT proc_key, nodes FROM snapshot_processes WHERE snapshot_id = 41") == [
        ("web-7", 0)
    ]
    assert query(path, "SELECT id, label FROM nodes") == [("task:1", None)]
    assert query(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    assert query(path, "SELECT name FROM sqlite_schema WHERE name LIKE 'original%'") == []


def test_a_migration_that_fails_leaves_the_old_database_whole(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = sqlite3.connect(path)
    db.executescript(ORIGINAL)
    db.close()
    monkeypatch.setattr(schema, "schema_sql", lambda: "CREATE TABLE snapshots (x); nonsense;")
    with pytest.raises(StoreError):
        schema.prepare_database(path, 0)
    assert query(path, "SELECT id FROM nodes") == [("task:1",)]
    assert query(path, "PRAGMA user_version") == [(0,)]


def test_a_newer_database_is_refused_and_left_alone(path: str) -> None:
    schema.prepare_database(path, 0)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = Path(path).read_bytes()
    with pytest.raises(SchemaVersionError, match="newer peepsd"):
        schema.prepare_database(path, 0)
    assert Path(path).read_bytes() == before


def make_foreign(path: str) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE customers (x)")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: Path(p).write_bytes(b"not a database " * 500), "not a database"),
        (make_foreign, "somebody else's database"),
        (lambda p: Path(p).mkdir(), "cannot open"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(path: str, make: Any, said: str) -> None:
    make(path)
    with pytest.raises(StoreError, match=said) as caught:
        schema.prepare_database(path, 0)
    assert caught.value.hint


def statements() -> Iterator[str]:
    yield from schema._statements(schema.schema_sql())


def test_schema_sql_is_the_only_ddl_and_whole() -> None:
    assert len(list(statements())) >= 8
    assert "".join(statements()).count("CREATE TABLE") == 6
