"""Statements that try to leave their snapshot, write, or never end.

ATTACKS is every one; those of sql-attacks.json and those below. None is expected to succeed or to
fail in a certain way: what must hold after each is in tests/component/test_sandbox.py.
"""

import json
from pathlib import Path
from typing import Any

Attack = tuple[str, str, Any]
"""Group, statement, params."""


def _given() -> list[Attack]:
    path = Path(__file__).with_name("sql-attacks.json")
    return [(a["group"], a["sql"], a.get("params", [])) for a in json.loads(path.read_text())]


def _all(group: str, *statements: str) -> list[Attack]:
    return [(group, sql, []) for sql in statements]


STRANGERS_VIEWS = _all(
    "scope",
    "select count(*) from bare",
    "select count(*) from main.bare",
    "select count(*) from [BARE]",
    "select sum(one) from bare",
    "select count(*) from barely",
    "select count(*) over () from bare limit 1",
    "select 1 from bare",
    "with bare as (select 1 from main.bare) select count(*) from bare",
    "select (select count(*) from bare)",
    "select count(*) from (select 1) left join bare",
    "select count(*) from nodes, bare",
    "select exists (select 1 from leaky where id like 'lock:S%')",
    "select count(*) from main.empty",
    "select not exists (select 1 from empty)",
)

FORGED_NAMES = _all(
    "scope",
    "with s00000000000000000000000000000000_nodes as (select * from main.nodes) "
    "select * from s00000000000000000000000000000000_nodes",
    "with a as (with nodes as (select * from main.nodes) select * from nodes) select * from a",
    "with main as (select 1) select * from main.nodes",
    "with nodes as (select * from main.nodes), edges as (select * from nodes) select * from edges",
    "with recursive t(x) as (select id from main.nodes union select x from t) select * from t",
    "with prev_nodes as (select * from main.nodes) select * from prev_nodes",
    "select n.* from main.nodes as n",
    'select "nodes".* from main.nodes nodes',
    "select main.nodes.id from nodes",
    "select main.nodes.id from main.nodes",
    "select * from nodes as main, main.nodes",
    "select * from nodes natural join main.nodes",
    "select * from nodes cross join main.edges",
    "select first_value(id) over (order by id) from main.nodes",
    "select * from nodes indexed by ix_nodes",
    "select * from (main.nodes)",
    "select * from ((select * from main.edges))",
    "select * from [MAIN].[NODES]",
    "select * from \"main\".'nodes'",
    "select * from main/*x*/./*y*/nodes",
    "select * from main.\tnodes",
    "select * from ｍａｉｎ.nodes",
    "select * from main.nodes\u200b",
    "values((select group_concat(id) from main.nodes))",
    "table nodes",
    "select * from main.nodes where rowid = 1 union select * from nodes",
    "select * from nodes intersect select * from main.nodes",
    "select * from main.nodes except select * from nodes",
)

# SQLite does not ask the authorizer about columns that NATURAL and USING joins compare, and
# FULL JOIN gives them away.
_UNREPORTED = [
    (table, columns)
    for table, columns in [
        ("main.nodes", "id, label"),
        ("main.nodes", "snapshot_id"),
        ("main.edges", "src_id"),
        ("main.snapshots", "snapshot_id"),
        ("main.ingest_events", "detail"),
        ("main.waits", "waiter_id"),
        ("one", "x"),
        ("main.one", "x"),
        ("leaky", "id"),
        ("bare", "one"),
        ("sqlite_schema", "sql"),
        ("sqlite_sequence", "name, seq"),
        ("sqlite_stat1", "stat"),
        ("sqlite_temp_schema", "sql"),
        ("nodes_fts", "a"),
        ("nodes_fts_content", "c0"),
        ("pragma_table_list", "name"),
        ("dbstat", "name"),
    ]
]

UNREPORTED_JOINS = [
    ("scope", sql.format(table=table, columns=columns, sample=sample), [])
    for table, columns in _UNREPORTED
    for sample in [", ".join(f"'zzz' as {c}" for c in columns.split(", "))]
    for sql in (
        "select {columns} from (select {sample}) full join {table} using ({columns})",
        "select {columns} from (select {sample}) natural full join {table}",
        "select {columns} from {table} full join (select {sample}) using ({columns})",
        "select {columns} from (select {sample}) right join {table} using ({columns})",
        "select count(*) from (select {sample}) full join {table} using ({columns})",
    )
] + _all(
    "scope",
    "select count(*) from (select 'SECRET-b1946ac9' x) join one using (x)",
    "select count(*) from (select 4 snapshot_id) natural join main.nodes",
    "select count(*) from (select 4 snapshot_id) join main.edges using (snapshot_id)",
    "select count(*) from (select null x) left join one using (x)",
    "with t(id) as (select 'zzz'), u as (select id from t full join main.nodes using (id)) "
    "select * from u",
)

HIDDEN_COUNTERS = _all(
    "scope",
    "select id from nodes limit (select count(*) from one)",
    "select id from nodes order by (select count(*) from one), id limit 1",
    "select count(*) from nodes group by (select count(*) from one)",
    "select kind from nodes group by kind having count(*) < (select count(*) from one)",
    "select id from nodes limit 1 offset (select count(*) from empty)",
    "select sum(1) over (rows (select count(*) from one) preceding) from nodes",
    "select count(*) filter (where (select count(*) from one) > 1) from nodes",
    "select case when (select count(*) from main.one) > 5 then 1 else 0 end",
    "select * from json_each('[' || (select count(*) from one) || ']')",
    "select (1, 2) in (select x, x from one)",
    "select 1 in (select count(*) from main.nodes)",
    "select count(*) from one, one b",
    "select count(*) from main.one as nodes",
    "select max(rowid) from one",
    "select rowid from one",
    "select 1 from one limit 1",
    "select row_number() over () from one",
    "select count(*) from main.snapshots",
    "select max(snapshot_id) from main.snapshots",
    "select * from snapshots where snapshot_id <> 3",
    "select * from nodes where snapshot_id = 4 or 1 = 1 or snapshot_id = 1",
    "select * from prev_nodes where snapshot_id = 1 or 1",
    "select * from prev_prev_nodes",
    "select * from main.prev_nodes",
    "select * from ingest_events where snapshot_id is null or 1",
    "select count(*) from main.ingest_events",
    "select last_insert_rowid(), changes(), total_changes()",
    "select count(*) from sqlite_stat1",
    "select * from sqlite_stat4",
    "select * from temp.sqlite_temp_master",
    "select sql from sqlite_temp_schema",
    "select * from main.sqlite_temp_master",
    "select count(*) from temp.sqlite_schema",
    "explain select * from one",
    "explain query plan select * from leaky",
)

MODULES = _all(
    "scope",
    "select * from nodes_fts('SECRET')",
    "select * from nodes_fts_data",
    "select count(*) from nodes_fts_content",
    "select * from nodes_vocab",
    "select count(*) from nodes_vocab",
    "select highlight(nodes_fts, 0, '<', '>') from nodes_fts",
    "select bm25(nodes_fts) from nodes_fts",
    "select * from box_rowid",
    "select count(*) from box_parent",
    "select rtreenode(2, zeroblob(900))",
    "select * from fsdir('/')",
    "select * from zipfile('/tmp/x.zip')",
    "select * from csv",
    "select * from carray(1, 10)",
    "select * from sqlite_dbdata",
    "select * from sqlite_dbptr",
    "select * from fts5vocab",
    "select * from PRAGMA_TABLE_LIST",
    "select * from main.pragma_table_info('one')",
    "select * from temp.pragma_index_xinfo('ix_nodes')",
    "select count(*) from pragma_foreign_key_check",
    "select * from pragma_table_info('one'), nodes",
    "select * from nodes where id in pragma_database_list",
    "with pragma_table_list as (select 1) select * from pragma_table_list",
    "select id match 'SECRET' from nodes",
    "select id regexp '.*' from nodes",
    "select id collate nothing from nodes order by 1",
    "select soundex('x'), sqlite_source_id(), sqlite_compileoption_get(1)",
    "select randomblob(10)",
    "select sqlite_offset(id) from nodes",
    "select eval('select * from main.nodes')",
    "select unlikely(load_extension('/tmp/x.so'))",
    "select fts3_tokenizer('simple', x'4141414141414141')",
)

WRITES = _all(
    "write",
    "with x as (select 1) delete from main.nodes",
    "delete from nodes",
    "delete from main.nodes returning id",
    "update nodes set id = 1",
    "update main.nodes set label = 1 returning *",
    "insert into main.one values (1) on conflict do nothing returning x",
    "replace into main.one values (1)",
    "insert into main.one select 1",
    "explain insert into main.one values (1)",
    "create table t as select 1",
    "create temp table t as select * from main.nodes",
    "create temp table nodes (id)",
    "create view main.v as select 1",
    "drop table main.one",
    "drop view nodes",
    "drop view temp.nodes",
    "drop index ix_nodes",
    "reindex",
    "analyze",
    "analyze main.one",
    "detach main",
    "detach temp",
    "savepoint x",
    "release x",
    "end",
    "begin exclusive",
    "attach database 'file:/tmp/peeps-attack.db?mode=rwc' as a",
    "attach '' as a",
    "attach (select 'x') as (select 'y')",
    "vacuum temp into '/tmp/peeps-attack.db'",
    "vacuum main into 'file:/tmp/peeps-attack.db'",
    "select * from pragma_wal_checkpoint('TRUNCATE')",
    "select * from pragma_hard_heap_limit(1)",
    "select * from pragma_soft_heap_limit(1)",
    "select * from pragma_incremental_vacuum(9)",
    "select * from pragma_journal_mode('delete')",
    "pragma main.wal_checkpoint(truncate)",
    "pragma locking_mode = exclusive",
    "pragma mmap_size = 1000000000",
    "pragma cache_size = -1000000",
    "pragma case_sensitive_like = 1",
    "pragma shrink_memory",
    "pragma soft_heap_limit = 1",
    "pragma temp_store = 1",
    "pragma analysis_limit = 1",
    "pragma wal_autocheckpoint = 1",
    "pragma encoding = 'UTF-16'",
    ".dump",
    ".shell id",
)


def _chain(step: str, first: str, length: int) -> str:
    ctes = [f"c1 as ({first})"]
    ctes += [f"c{i} as ({step.replace('?', f'c{i - 1}')})" for i in range(2, length + 1)]
    return f"with {', '.join(ctes)} select count(*) from c{length}"


BOMBS = _all(
    "bomb",
    "select printf('%.1000000c', 'a') like '" + "%a" * 99 + "b'",
    "select printf('%.1000000c', 'a') glob '" + "*a" * 99 + "b'",
    _chain("select a.x from ? a join ? b using (x)", "select id x from nodes", 18),
    _chain("select x from ? where x in (select x from ?)", "select id x from nodes", 20),
    _chain("select x from ? union select x from ? order by x", "select id x from nodes", 20),
    _chain("select count(*) over () x from ? a, ? b", "select id x from nodes", 12),
    "select 1" + ",1" * 1999,
    "select " + "(" * 5000 + "1" + ")" * 5000,
    "select " + "not " * 20000 + "1",
    "select " + "~" * 60000 + "1",
    "select " + "(select " * 500 + "1" + ")" * 500,
    "select 1" + " union all select 1" * 3000,
    "select 1 in (" + ",".join(map(str, range(10000))) + ")",
    "select count(*) from " + ", ".join(f"nodes n{i}" for i in range(60)),
    "select count(*) from " + ", ".join(f"nodes n{i}" for i in range(100)),
    "select * from " + ", ".join(f"nodes n{i}" for i in range(40)),
    "select count(*) from " + " left join ".join(f"nodes n{i}" for i in range(30)),
    "select coalesce(" + ",".join("null" for _ in range(200)) + ")",
    "select case " + "when 0 then 1 " * 5000 + "end",
    "select count(distinct a.id || b.id || c.id) from nodes a, nodes b, nodes c",
    "select group_concat(a.id || b.id || c.id) from nodes a, nodes b, nodes c",
    "select json_group_array(hex(zeroblob(100000))) from nodes a, nodes b",
    "with recursive r(i) as (select 1 union all select i + 1 from r) select sum(i) from r",
    "with recursive r(i) as (select 1 union all select i + 1 from r) select json_group_array(i) "
    "from r",
    "with recursive r(i, s) as (select 1, 'x' union all select i + 1, s || s from r) "
    "select max(length(s)) from r",
    "with recursive r(a) as (select id from nodes union select r.a || n.id from r, nodes n) "
    "select count(*) from r",
    "select zeroblob(1000000000)",
    "select hex(zeroblob(1000000)) || hex(zeroblob(1000000))",
    "select format('%999999999s', 'x')",
    "select replace(hex(zeroblob(500000)), '0', hex(zeroblob(500000)))",
    "select strftime(replace(hex(zeroblob(200000)), '00', '%J'), 'now')",
    "select json_extract('" + "[" * 30000 + "]" * 30000 + "', '$')",
    "select json_patch(x, x) from (select '{' || group_concat('\"' || a.id || b.id || '\":1') "
    "|| '}' x from nodes a, nodes b)",
    "select count(*) from json_tree('[" + "[1]," * 10000 + "1]') a, "
    "json_tree('[" + "[1]," * 5000 + "1]') b",
    "select * from nodes a, nodes b, nodes c order by random()",
    "select a.id, lag(b.id) over (order by a.id || b.id || c.id) from nodes a, nodes b, nodes c",
    "select sum(1) over (order by a.id range between unbounded preceding and unbounded following)"
    " from nodes a, nodes b, nodes c",
    "select instr(printf('%.1000000c', 'a'), printf('%.500000c', 'a') || 'b')",
    "select rtrim(printf('%.1000000c', 'a'), printf('%.900000c', 'b') || 'a')",
    "select upper(hex(zeroblob(400000))) from nodes a, nodes b",
    "select printf('%.1000000c', 'x') as a, * from nodes",
    "select hex(zeroblob(400000))" + ", hex(zeroblob(400000))" * 150,
)

RESULTS = _all(
    "result",
    'select 1 as "' + "x" * 60000 + '"',
    "select " + ", ".join(f'1 as "{"y" * 300}{i}"' for i in range(190)),
    'select 1 as a, 2 as a, 3 as "a;b", 4 as "\x07"',
    "select char(0x10ffff), char(0xd800), char(8232), char(27)",
    "select 1e308 * 10, -1e308 * 10, 1e-320, -0.0",
    "select cast('abc' as blob), x'', null",
    "select replace(hex(zeroblob(300000)), '00', char(1))",
    "select date('now'), current_timestamp",
    "select * from nodes, prev_nodes limit 1",
)

REQUESTS: list[Attack] = [
    ("params", "select ?", [[1]]),
    ("params", "select ?", [{"a": 1}]),
    ("params", "select ?", [1 << 63]),
    ("params", "select ?", [-(1 << 63) - 1]),
    ("params", "select ?", [float("nan")]),
    ("params", "select ?", [float("inf")]),
    ("params", "select ?", ["\ud800"]),
    ("params", "select ?", [b"bytes"]),
    ("params", "select ?", []),
    ("params", "select ?", [1, 2]),
    ("params", "select ?", None),
    ("params", "select ?", 7),
    ("params", "select ?1, ?99", [1, 2]),
    ("params", "select ?" + ", ?" * 199, [1] * 200),
    ("params", "select ?32767", [1]),
    ("params", "select :a, @b, $c", [1, 2, 3]),
    ("params", "select id from nodes where id = ?", ["' or 1=1 --"]),
    ("params", "select * from ?", ["main.nodes"]),
    ("params", "select ? from nodes", ["x" * 100_000]),
    ("parse", "select 1\0; select 2", []),
    ("parse", "select '\ud800'", []),
    ("parse", "select " + " " * 70_000 + "1", []),
    ("parse", "select", []),
    ("parse", "select * from", []),
    ("parse", "select 'unclosed", []),
    ("parse", "-- only", []),
    ("parse", "select 1 -- ; attach 'x' as y", []),
    ("parse", "select 1 /* unclosed", []),
    ("parse", "select 1; delete from main.nodes", []),
    ("parse", "ｓｅｌｅｃｔ 1", []),
    ("parse", "with x as (select 1) ", []),
]

OWN = (
    STRANGERS_VIEWS
    + FORGED_NAMES
    + UNREPORTED_JOINS
    + HIDDEN_COUNTERS
    + MODULES
    + WRITES
    + BOMBS
    + RESULTS
    + REQUESTS
)
ATTACKS = _given() + OWN

HIDDEN_TABLES = (
    *("main.nodes", '"main"."nodes"', "main . edges", "main.snapshots", "main.ingest_events"),
    *("main.waits", "main.wait_chains", "main.unanswered", "main.prev_nodes", "prev_prev_nodes"),
    *("one", "main.one", "[ONE]", "empty", "main.empty"),
    *("leaky", "main.leaky", "bare", "main.bare", '"BARE"', "barely"),
    *("sqlite_master", "main.sqlite_schema", "sqlite_temp_schema", "temp.sqlite_master"),
    *("sqlite_sequence", "sqlite_stat1", "dbstat", "sqlite_stmt"),
    *("nodes_fts", "nodes_fts_data", "nodes_vocab", "box", "box_node", "fts3tokenize"),
    *("pragma_table_list", "pragma_table_info('one')", "PRAGMA_database_list"),
)
"""Ways to name what a statement must not read, not even to count it."""

POSITIONS = (
    "select * from {}",
    "select count(*) from {}",
    "select 1 from {} limit 1",
    "select 1 from nodes, {}",
    "select 1 from {} x cross join edges",
    "select 1 from nodes left join {} on 1",
    "select count(*) from (select 1) left join {}",
    "select 1 from nodes natural join {}",
    "select 1 from nodes natural full join {}",
    "select * from (select * from (select 1 from {}))",
    "select (select count(*) from {})",
    "select exists (select 1 from {})",
    "select 1 from nodes where exists (select 1 from edges where exists (select 1 from {}))",
    "select 1 in (select 1 from {})",
    "select * from nodes where (id, 1) in (select 1, 1 from {})",
    "select id from nodes order by (select count(*) from {})",
    "select id from nodes limit (select count(*) from {})",
    "select id from nodes limit 1 offset (select count(*) from {})",
    "select count(*) from nodes group by (select count(*) from {})",
    "select kind from nodes group by kind having (select count(*) from {})",
    "select sum(1) filter (where (select count(*) from {}) > 1) from nodes",
    "select sum(1) over (order by (select count(*) from {})) from nodes",
    "select count(*) over () from {}",
    "select row_number() over () from {}",
    "select max((select count(*) from {}), 1)",
    "select case when (select 1 from {}) then 1 end",
    "select coalesce(null, (select count(*) from {}))",
    "values ((select count(*) from {}))",
    "select 1 union all select count(*) from {}",
    "select 1 except select 1 from {}",
    "select value from json_each((select count(*) from {}))",
    "with unanswered as (select 1 from {}) select count(*) from unanswered",
    "with x as materialized (select count(*) c from {}) select c from x",
    "with x as not materialized (select 1 c from {}) select count(*) from x, x y",
    "with recursive r(i) as (select count(*) from {} union select i from r) select * from r",
    "with recursive r(i) as (select 1 union select i + 1 from r, {} where i < 3) select * from r",
    "explain select 1 from {}",
    "explain query plan select 1 from {}",
)
"""Places in a statement where a table can be read; {} is the table."""
