"""The jail, through its real workers: what people may do, and what attackers may not."""

import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from peepsd.errors import BadRequest, NotFound, PeepsError, StoreError, TooManyRequests
from peepsd.store import sandbox_rules as rules
from peepsd.store.sandbox import SqlSandbox
from peepsd.store.sandbox_views import Catalogue
from tests.support import sandbox_db as world
from tests.support.sql_attacks import ATTACKS, HIDDEN_TABLES, POSITIONS, Attack
from tests.support.trio_thread import Run, held_open

PATIENCE_S = 60.0
"""For statements that are expected to succeed, on a machine that is busy with other things."""

MEMORY_KIB = 300 * 1024


class Jail:
    """The sandbox over the attacked database, used from sync tests."""

    def __init__(self, path: Path, attacked: SqlSandbox, calm: SqlSandbox, run: Run) -> None:
        self.path, self.attacked, self.calm, self._run = path, attacked, calm, run

    def ask(self, sql: Any, params: Any = (), snapshot_id: Any = world.SCOPE) -> dict[str, Any]:
        """An answer, with all the time in the world."""
        answer = json.loads(self._run(self.calm.query, sql, params, snapshot_id))
        assert list(answer) == ["snapshot_id", "columns", "rows", "row_count", "truncated"]
        assert answer["row_count"] == len(answer["rows"])
        return dict(answer)

    def rows(self, sql: str, *params: object) -> Any:
        answer = self.ask(sql, params)
        assert answer["truncated"] is None
        return answer["rows"]

    def attack(self, sql: Any, params: Any) -> bytes:
        """What the attacker sees: an answer or an error. At the deadlines of production."""
        try:
            answer: bytes = self._run(self.attacked.query, sql, params, world.SCOPE)
        except PeepsError as error:
            return f"{error.message} {error.hint}".encode(errors="replace")
        return answer

    def canary(self) -> Any:
        """An innocent question to the workers that were attacked."""
        for _ in range(5):
            answer = self.attack("select count(*), min(id), max(snapshot_id) from nodes", [])
            if b"was stopped after" not in answer:  # the machine was busy
                break
        return json.loads(answer)["rows"]

    def peak_memory_kib(self) -> list[int]:
        """Of each worker that was attacked and still lives."""
        peaks = []
        for worker in self.attacked._pool._idle:
            status = Path(f"/proc/{worker.pid}/status").read_text()
            peaks.append(int(status.partition("VmHWM:")[2].split()[0]))
        return peaks


@pytest.fixture(scope="module")
def jail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jail]:
    with world.attacked_database(tmp_path_factory.mktemp("attacked")) as path:

        @asynccontextmanager
        async def sandboxes() -> AsyncIterator[tuple[SqlSandbox, SqlSandbox]]:
            attacked = SqlSandbox(path, world.SCHEMA)
            calm = SqlSandbox(path, world.SCHEMA, deadline_s=PATIENCE_S)
            async with trio.open_nursery() as nursery:
                await nursery.start(attacked.run)
                await nursery.start(calm.run)
                yield attacked, calm
                nursery.cancel_scope.cancel()

        with held_open(sandboxes) as ((attacked, calm), run):
            yield Jail(path, attacked, calm, run)


def _attack_id(attack: Attack) -> str:
    return f"{attack[0]}: {' '.join(attack[1].split())[:60]!a}"


@pytest.mark.parametrize("attack", ATTACKS, ids=_attack_id)
def test_an_attack_gains_nothing(jail: Jail, attack: Attack) -> None:
    _, sql, params = attack
    before = world.fingerprint(jail.path)
    around = {file.name for file in Path("/").iterdir()}

    seen = jail.attack(sql, params)

    assert world.MARK.encode() not in seen
    assert not _numbers(seen) & world.HIDDEN_COUNTS
    assert len(seen) < rules.MAX_RESULT_BYTES + 1000
    assert world.fingerprint(jail.path) == before
    assert {file.name for file in Path("/").iterdir()} == around
    assert not Path("/tmp/peeps-attack.db").exists()
    assert jail.canary() == [[world.NODES, "lock:0000", world.SCOPE]]
    assert all(peak < MEMORY_KIB for peak in jail.peak_memory_kib())


@pytest.mark.parametrize("position", POSITIONS)
def test_what_is_hidden_cannot_be_read_from_any_place(jail: Jail, position: str) -> None:
    for table in HIDDEN_TABLES:
        sql = position.format(table)
        with pytest.raises(BadRequest):
            pytest.fail(f"{sql}: {jail.ask(sql)}")


@pytest.mark.parametrize("position", POSITIONS)
def test_what_is_offered_can_be_read_from_any_place(jail: Jail, position: str) -> None:
    for table in ("nodes", "temp.nodes", "snapshots", "waits", "prev_edges", "json_each('[1]')"):
        assert jail.ask(position.format(table))["columns"]


def _numbers(seen: bytes) -> set[object]:
    try:
        rows = json.loads(seen)["rows"]
    except ValueError:
        return set()
    return {c for row in rows for c in row if type(c) in (int, float)} | {len(rows)}


# What people may do.


@pytest.mark.parametrize("table", ["nodes", "edges", "unresolved_edges", "ingest_events",
                                   "snapshots", "snapshot_processes"])  # fmt: skip
def test_every_table_shows_this_snapshot_and_nothing_else(jail: Jail, table: str) -> None:
    with closing(sqlite3.connect(jail.path)) as db:
        cursor = db.execute(f"select * from {table} where snapshot_id = ?", (world.SCOPE,))
        columns, rows = [d[0] for d in cursor.description], cursor.fetchall()
    answer = jail.ask(f"select * from {table}")
    assert answer["snapshot_id"] == world.SCOPE
    assert answer["columns"] == columns
    assert sorted(answer["rows"]) == sorted(map(list, rows)) != []


VIEWS = list(Catalogue.of_schema(world.SCHEMA).views)


def _rows_of(path: Path, view: str, snapshot_id: int) -> list[list[object]]:
    with closing(sqlite3.connect(path)) as db:
        found = db.execute(f"SELECT * FROM {view} WHERE snapshot_id = ?", (snapshot_id,))
        return sorted(map(list, found), key=repr)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_the_schema_shows_this_snapshot_or_the_one_before(jail: Jail, view: str) -> None:
    now = sorted(jail.rows(f"select * from {view}"), key=repr)
    before = sorted(jail.rows(f"select * from prev_{view}"), key=repr)
    assert now == _rows_of(jail.path, view, world.SCOPE)
    assert before == _rows_of(jail.path, view, world.PREVIOUS)
    assert jail.rows(f"select count(*) from {view}") == [[len(now)]]
    assert jail.rows(f"select count(*) from prev_{view}, (select 1)") == [[len(before)]]


def test_the_views_of_the_schema_have_something_to_show(jail: Jail) -> None:
    empty = [view for view in VIEWS if not jail.rows(f"select 1 from {view} limit 1")]
    assert empty == ["cross_process_edges"]  # there is one process


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("sql", ["select * from main.{}", "select count(*) from main.{}",
                                 "select 1 from main.{} limit 1"])  # fmt: skip
def test_the_same_view_in_the_file_itself_is_out_of_reach(jail: Jail, view: str, sql: str) -> None:
    with pytest.raises(BadRequest, match=r"plain name|unsafe use of json_"):
        jail.ask(sql.format(view))


@pytest.mark.parametrize("table", ["nodes", "edges", "snapshots", "unresolved_edges"])
def test_prev_tables_show_the_snapshot_before(jail: Jail, table: str) -> None:
    assert jail.rows(f"select distinct snapshot_id from prev_{table}") == [[world.PREVIOUS]]


def test_a_diff_of_two_snapshots(jail: Jail) -> None:
    sql = "select count(*) from nodes where id not in (select id from PREV_nodes)"
    assert jail.rows(sql) == [[world.NODES // 2]]


def test_the_first_snapshot_has_none_before_it(jail: Jail) -> None:
    assert jail.ask("select count(*) from prev_nodes", [], 1)["rows"] == [[0]]


def test_a_snapshot_still_being_gathered_can_be_named_but_is_not_the_latest(jail: Jail) -> None:
    assert jail.ask("select snapshot_id, completed_at_ns from snapshots", [], 5)["rows"] == [
        [5, None]
    ]
    latest = jail.ask("select max(snapshot_id) from snapshots", (), None)
    assert (latest["snapshot_id"], latest["rows"]) == (4, [[4]])


@pytest.mark.parametrize(
    ("sql", "params", "rows"),
    [
        ("select id from nodes order by id limit 2", (), [["lock:0000"], ["lock:0002"]]),
        ("SELECT count(*) FROM Nodes", (), [[100]]),
        ("select count(*) from temp.nodes", (), [[100]]),
        ("select 1", (), [[1]]),
        ("values (1, 'a'), (2, null)", (), [[1, "a"], [2, None]]),
        ("select 1; -- end", (), [[1]]),
        ("select ';' as \"a;b\", 'main.nodes'", (), [[";", "main.nodes"]]),
        ("select id from nodes where id = ? and ?", ("task:0001", True), [["task:0001"]]),
        ("select ?, ?, ?, ?, ?", (None, False, 2**63 - 1, 1.5, "ü\0"), [[None, 0, 2**63 - 1, 1.5, "ü\0"]]),  # noqa: E501
        ("select 9007199254740993, -9223372036854775808", (), [[9007199254740993, -(2**63)]]),
        ("select x'00ff', 9e999, -9e999, 9e999 - 9e999", (),
         [[{"$blob": "AP8="}, {"$real": "inf"}, {"$real": "-inf"}, None]]),
        ("select cast(x'61ff' as text)", (), [["a\ufffd"]]),
        ("select kind, count(*), avg(attrs_json ->> '$.i') from nodes group by kind order by kind",
         (), [["lock", 50, 49.0], ["task", 50, 50.0]]),
        ("select key, value from json_each('{\"a\": 1}')", (), [["a", 1]]),
        ("select count(*) from json_tree('[1, [2]]')", (), [[4]]),
        (("select j.value from nodes n, json_each(n.attrs_json) j where n.id = 'task:0007' "
         "and j.key = 'i'"), (), [[7]]),
        (("select count(*) from edges e join nodes s on s.id = e.src_id join nodes d on d.id = "
         "e.dst_id where e.kind = 'needs'"), (), [[99]]),
        ("select count(*) from nodes n left join edges e on e.src_id = n.id where e.src_id is null",
         (), [[1]]),
        ("select count(*), count(e.src_id) from nodes n left join edges e on e.src_id = n.id",
         (), [[100, 99]]),
        ("select (select count(*) from nodes), (select count(*) from edges)", (), [[100, 99]]),
        ("select max(n) from (select row_number() over () n from nodes)", (), [[100]]),
        ("select exists (select 1 from ingest_events)", (), [[1]]),
        (("with recursive chain(id, depth) as (select 'task:0001', 0 union select dst_id, "
         "depth + 1 from edges join chain on src_id = chain.id) select count(*), max(depth) "
         "from chain"),
         (), [[99, 98]]),
        ("with nodes as (select 7 as id) select id from nodes", (), [[7]]),
        (("with recursive r(i) as (select 1 union all select i + 1 from r limit 9) "
         "select count(*) from r"), (), [[9]]),
        (("select n.kind, row_number() over (partition by kind order by id) from nodes n "
         "order by id limit 1"), (), [["lock", 1]]),
        ("select id from nodes union select src_id from edges order by 1 limit 1",
         (), [["lock:0000"]]),
        ("select requested_at_ns from snapshots", (), [[1763616000000000003]]),
    ],
)  # fmt: skip
def test_an_honest_question_is_answered(
    jail: Jail, sql: str, params: tuple[object, ...], rows: list[object]
) -> None:
    assert jail.ask(sql, params)["rows"] == rows


def test_explain_query_plan_helps_people_tune(jail: Jail) -> None:
    plan = str(jail.rows("explain query plan select * from nodes where id = 'x'"))
    assert "snapshot_id=? AND id=?" in plan  # the scope costs no index


def test_times_in_nanoseconds_stay_exact_in_the_bytes_sent(jail: Jail) -> None:
    raw = jail._run(jail.calm.query, "select requested_at_ns from snapshots", (), world.SCOPE)
    assert b"[1763616000000000003]" in raw


# Where it stops.


def test_rows_are_capped(jail: Jail) -> None:
    answer = jail.ask("select a.id from nodes a, nodes b limit 6000")
    assert (answer["row_count"], answer["truncated"]) == (rules.MAX_ROWS, "rows")
    answer = jail.ask("select a.id from nodes a, nodes b limit 5000")
    assert (answer["row_count"], answer["truncated"]) == (rules.MAX_ROWS, None)


def test_bytes_are_capped_after_encoding(jail: Jail) -> None:
    sql = "select replace(hex(zeroblob(100000)), '00', char(1)) from nodes"  # six bytes each
    raw = jail._run(jail.calm.query, sql, (), world.SCOPE)
    answer = json.loads(raw)
    assert answer["truncated"] == "bytes"
    assert answer["row_count"] == 6
    assert len(raw) < rules.MAX_RESULT_BYTES + 200


def test_column_names_count_too(jail: Jail) -> None:
    name = chr(1) * 20_000  # six bytes each in JSON
    tables = ", ".join(f"w w{i}" for i in range(60))
    with pytest.raises(BadRequest, match="column names are too long"):
        jail.ask(f'with w as (select 1 as "{name}") select * from {tables}')


def test_time_is_capped_and_what_was_found_is_kept(jail: Jail) -> None:
    endless = "select sum(b.snapshot_id) from nodes a, nodes b, nodes c, nodes d, nodes e"
    answer = jail.ask(f"select 'first' union all select 'second' union all {endless}")
    assert (answer["rows"], answer["truncated"]) == ([["first"]], "time")


@pytest.mark.parametrize(
    ("sql", "params", "message"),
    [
        ("select missing from nodes", [], "no such column: missing"),
        ("select * from nowhere", [], "no such table: nowhere"),
        ("select * from one", [], "no such table: one; there are .*edges, ingest_events, nodes"),
        ("selec 1", [], 'near "selec": syntax error'),
        ("select * from main.nodes", [], "plain name"),
        ("select load_extension('x')", [], r"function load_extension\(\) is not available"),
        ("pragma table_info('nodes')", [], "PRAGMA is not available here; the tables are"),
        ("delete from nodes", [], "."),
        ("delete from main.nodes", [], "plain name"),
        ("create table t (x)", [], "read-only"),
        ("attach 'x' as y", [], "read-only"),
        ("", [], "one SELECT"),
        ("/* nothing */", [], "there is no statement"),
        ("select 1; select 2", [], "one statement at a time"),
        ("select ?", [], "1, and there are 0"),
        ("select ?", {"a": 1}, "params must be a list"),
        ("select ?", [[]], "value 1 must be null, a boolean"),
        ("select ?", [1, 1 << 63], "value 2 does not fit|incorrect number"),
        ("select zeroblob(2000000)", [], "larger than 1 MiB"),
        ("select group_concat(hex(zeroblob(400000))) from nodes", [], "larger than 1 MiB"),
        ("select json_group_array(hex(zeroblob(400000))) from nodes a, nodes b", [], "64 MiB"),
        (None, [], "sql must be a string"),
    ],
)  # fmt: skip
def test_an_error_says_what_is_wrong(jail: Jail, sql: Any, params: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        jail.ask(sql, params)
    assert "_nodes" not in caught.value.message.replace("prev_nodes", "")


@pytest.mark.parametrize("snapshot_id", ["3", 3.0, True, -1, 1 << 63])
def test_a_snapshot_id_is_an_integer(jail: Jail, snapshot_id: object) -> None:
    with pytest.raises(BadRequest, match="snapshot_id must be an integer"):
        jail.ask("select 1", [], snapshot_id)


def test_an_unknown_snapshot_is_not_found(jail: Jail) -> None:
    with pytest.raises(NotFound, match="no snapshot 99") as caught:
        jail.ask("select 1", [], 99)
    assert caught.value.hint == "the latest is 4; GET /api/snapshots lists them all"


# Beyond one database.


@asynccontextmanager
async def sandbox_over(path: Path, **options: Any) -> AsyncIterator[SqlSandbox]:
    sandbox = SqlSandbox(path, world.SCHEMA, **options)
    async with trio.open_nursery() as nursery:
        await nursery.start(sandbox.run)
        yield sandbox
        nursery.cancel_scope.cancel()


async def test_before_the_first_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "a #strange? name%41.sqlite"
    db = sqlite3.connect(path)
    db.executescript("PRAGMA journal_mode = WAL;" + world.SCHEMA)
    async with sandbox_over(path, deadline_s=PATIENCE_S) as sandbox:
        with pytest.raises(NotFound, match="no snapshot has been taken yet") as caught:
            await sandbox.query("select 1")
    assert "jump-now" in str(caught.value.hint)
    db.close()


async def test_a_database_that_is_gone(tmp_path: Path) -> None:
    async with sandbox_over(tmp_path / "gone.sqlite", deadline_s=PATIENCE_S) as sandbox:
        with pytest.raises(StoreError, match="unable to open"):
            await sandbox.query("select 1")
    assert not any(os.scandir(tmp_path))


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "peeps.sqlite"
    path.write_bytes(b"x" * 4096)
    async with sandbox_over(path, deadline_s=PATIENCE_S) as sandbox:
        with pytest.raises(StoreError, match="not a database"):
            await sandbox.query("select 1")


async def test_too_many_at_once_are_told_to_come_back(tmp_path: Path) -> None:
    endless = "with recursive r(i) as (select 1 union all select i + 1 from r) select sum(i) from r"
    outcomes: list[str] = []

    async def ask(sandbox: SqlSandbox) -> None:
        try:
            outcomes.append(json.loads(await sandbox.query(endless))["truncated"])
        except TooManyRequests:
            outcomes.append("busy")

    with world.attacked_database(tmp_path) as path:
        async with sandbox_over(path, size=1, queue_limit=1, deadline_s=PATIENCE_S) as sandbox:
            await sandbox.query("select 1")
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(ask, sandbox)
    assert sorted(outcomes) == ["busy", "busy", "time", "time"]


async def test_what_is_committed_meanwhile_is_seen_by_the_next_request(tmp_path: Path) -> None:
    with world.attacked_database(tmp_path) as path:
        async with sandbox_over(path, deadline_s=PATIENCE_S) as sandbox:
            sql = "select max(snapshot_id) from snapshots"
            assert json.loads(await sandbox.query(sql))["rows"] == [[4]]
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute("UPDATE snapshots SET completed_at_ns = 1 WHERE snapshot_id = 5")
            assert json.loads(await sandbox.query(sql))["rows"] == [[5]]
