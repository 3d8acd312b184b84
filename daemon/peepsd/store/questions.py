"""Every question that can be asked about stored snapshots, in one table.

Decides which question needs which snapshots, and how an answer is encoded. Refuses to know who
asks: the daemon runs `handle` in a worker process, so that a graph of a million edges stalls
nobody; the command line calls `answer` on a file. Answers are those of core, as JSON objects.
"""

import gc
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import orjson

from ..core import answers, findings, tree, worst
from ..core.finding_rules import RULES
from ..core.snapshot_graph import SnapshotGraph
from ..errors import BadRequest, NotFound, PeepsError, TooLarge
from . import bounded, changes, cycles, exports, packs, subjects
from .graph_reads import GraphReads
from .scope import narrow

Arguments = Mapping[str, Any]


class Session:
    """The snapshots that one question is about, each read once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._stack = ExitStack()
        self._reads: dict[int, GraphReads] = {}
        self._loaded: dict[int, SnapshotGraph] = {}
        self.reads = self._open()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _open(self) -> GraphReads:
        reads = GraphReads(self.path)
        self._stack.callback(reads.close)
        return reads

    def snapshot(self, wanted: int | None) -> SnapshotGraph:
        """That snapshot, the latest by default."""
        snapshot_id = self.reads.snapshot_id(wanted)
        if snapshot_id not in self._loaded:
            reads = self._reads[snapshot_id] = self._open()
            self._loaded[snapshot_id] = reads.load(snapshot_id)
        return self._loaded[snapshot_id]

    def later(self, wanted: int | None) -> SnapshotGraph | None:
        """The snapshot that confirms another, if one was named."""
        return None if wanted is None else self.snapshot(wanted)

    def rows(self, snapshot: SnapshotGraph) -> dict[str, list[dict[str, Any]]]:
        """What the named queries behind the findings return."""
        reads = self._reads[snapshot.snapshot_id]
        found = {
            name: [_cut(row) for row in reads.rows(packs.PACKS[name].sql, (FINDING_ROWS,))]
            for name in RULES
        }
        for row in found["requests-between"]:
            row["seconds"] = changes.unmoved_for(reads, snapshot.snapshot_id, row)
        return found


FINDING_ROWS = 50
"""Of each query behind the findings so many rows are looked at."""


def _cut(row: sqlite3.Row) -> dict[str, Any]:
    return {name: bounded.cell(row[name]) for name in row.keys()}  # noqa: SIM118, a Row yields values


def _why(session: Session, args: Arguments) -> Any:
    snapshot = session.snapshot(args.get("snapshot_id"))
    later = session.later(args.get("confirm_with"))
    subject = args.get("subject")
    if subject is None:
        return worst.explain_worst(
            snapshot, lambda: findings.find(snapshot, session.rows(snapshot)), later
        )
    target = subjects.resolve(session.reads, snapshot, str(subject))
    if target.process is not None:
        return worst.explain_process(snapshot, target.process, target.node_ids, later)
    return answers.explain(snapshot, target.node_ids[0], later)


def _deadlocks(session: Session, args: Arguments) -> Any:
    return answers.deadlocks(
        session.snapshot(args.get("snapshot_id")),
        session.later(args.get("confirm_with")),
        keep=bool(args.get("keep")),
    )


def _blockers(session: Session, args: Arguments) -> Any:
    limit = args.get("limit")
    return answers.top_blockers(
        session.snapshot(args.get("snapshot_id")), 20 if limit is None else int(limit)
    )


def _check(session: Session, args: Arguments) -> Any:
    snapshot = session.snapshot(args.get("snapshot_id"))
    later = session.later(args.get("confirm_with"))
    later_rows = session.rows(later) if later else None
    keep = bool(args.get("keep"))
    check = findings.check(snapshot, session.rows(snapshot), later, later_rows, keep=keep)
    check.sql.update({f.query: packs.PACKS[f.query].sql.strip() for f in check.findings})
    return check


def _tree(session: Session, args: Arguments) -> Any:
    snapshot_id = session.reads.snapshot_id(args.get("snapshot_id"))
    process = args.get("process")
    return tree.build(snapshot_id, *subjects.actors(session.reads, snapshot_id, process))


def _waits(session: Session, args: Arguments) -> Any:
    snapshot_id = session.reads.snapshot_id(args.get("snapshot_id"))
    return changes.waits(session.reads, snapshot_id, args.get("process"), args.get("limit"))


def _node(session: Session, args: Arguments) -> Any:
    snapshot = session.snapshot(args.get("snapshot_id"))
    target = subjects.resolve(session.reads, snapshot, str(args.get("subject")))
    if target.process is not None:
        raise BadRequest(f"{target.process!r} is a process; name one of its tasks or threads")
    node = snapshot.node(target.node_ids[0])
    edges = session.reads.edges_of(snapshot.snapshot_id, node.id)
    names = {i for edge in edges for i in (edge["src"], edge["dst"])}
    return {
        "snapshot_id": snapshot.snapshot_id,
        "node": answers.info(snapshot, node),
        "attrs": dict(node.attrs),
        "stack": node.stack,
        "edges": edges,
        "names": {i: answers.info(snapshot, n) for i, n in snapshot.nodes(names).items()},
    }


def _diff(session: Session, args: Arguments) -> Any:
    after = session.reads.snapshot_id(args.get("after"))
    before = args.get("before")
    if before is None:
        earlier = session.reads.previous(after)
        if not earlier:
            raise NotFound(f"there is no snapshot before {after} to compare with")
        before = earlier[0]
    return changes.diff(session.reads, session.reads.snapshot_id(before), after)


def _stuck(session: Session, args: Arguments) -> Any:
    newest = session.reads.snapshot_id(args.get("snapshot_id"))
    count = args.get("count")
    return changes.stuck(session.reads, newest, 3 if count is None else int(count))


def _query(session: Session, args: Arguments) -> Any:
    pack = packs.pack_named(str(args.get("name")))
    limit = packs.DEFAULT_LIMIT if args.get("limit") is None else int(args["limit"])
    reads = session.reads
    snapshot_id = reads.snapshot_id(args.get("snapshot_id"))
    earlier = reads.previous(snapshot_id)
    narrow(reads.connection, snapshot_id, earlier[0] if earlier else None)
    if pack.name == "cycles":
        return cycles.answer(reads, snapshot_id, limit)
    return bounded.answer(reads.connection, snapshot_id, pack.sql, [limit])


def _sql(session: Session, args: Arguments) -> Any:
    return changes.sql(
        session.reads, str(args["sql"]), args.get("params") or [], args.get("snapshot_id")
    )


def _snapshots(session: Session, args: Arguments) -> Any:
    return changes.snapshots(session.reads, args.get("limit"), args.get("before"))


def _events(session: Session, args: Arguments) -> Any:
    return changes.events(session.reads, args.get("limit"))


def _export(session: Session, args: Arguments) -> Any:
    snapshot = session.snapshot(args.get("snapshot_id"))
    return exports.export(session.reads, snapshot, str(args.get("format")))


QUESTIONS: Mapping[str, Callable[[Session, Arguments], Any]] = {
    "why": _why,
    "deadlocks": _deadlocks,
    "blockers": _blockers,
    "check": _check,
    "tree": _tree,
    "waits": _waits,
    "node": _node,
    "diff": _diff,
    "stuck": _stuck,
    "query": _query,
    "sql": _sql,
    "snapshots": _snapshots,
    "events": _events,
    "export": _export,
}


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the collector of cycles from looking through a million small objects again and again,
    none of which is garbage: it took half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def answer(path: str, question: str, args: Arguments) -> bytes:
    """The answer as JSON. Raises PeepsError."""
    with _no_garbage(), Session(path) as session:
        found = QUESTIONS[question](session, args)
        return orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS)


def handle(request: bytes) -> bytes:
    """For a worker: {"database", "question", "args"} to b"+" and the answer, or b"-" and an error
    as {"status", "message", "hint"}."""
    order = orjson.loads(request)
    try:
        found = answer(order["database"], order["question"], order["args"])
        _refuse_too_large(order["question"], len(found))
        return b"+" + found
    except (MemoryError, sqlite3.OperationalError) as failure:
        if isinstance(failure, sqlite3.Error) and not bounded.has_no_room(failure):
            raise
        exc: PeepsError = TooLarge("the answer needs more room than there is", hint=_LESS)
    except PeepsError as refused:
        exc = refused
    error = {"status": exc.status, "message": exc.message, "hint": exc.hint}
    return b"-" + orjson.dumps(error)


MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_EXPORT_BYTES: Final = 256 * 1024 * 1024
"""The daemon holds an answer until it is sent: more is for those who read the file."""

_LESS: Final = "ask about one process or node, or read a copy of the file: peeps --db FILE …"


def _refuse_too_large(question: str, size: int) -> None:
    limit = MAX_EXPORT_BYTES if question == "export" else MAX_ANSWER_BYTES
    if size > limit:
        raise TooLarge(
            f"the answer has {size >> 20} MiB; the daemon gives at most {limit >> 20} MiB",
            hint=_LESS,
        )
