"""A graph's JSON to rows, tolerantly.

Decides what one malformed piece costs: a bad node costs that node, a bad edge that edge; and
which edges lead out of this graph. Refuses to know who sent it and which message it came in.
Structure that the protocol does not name is skipped, never built, so that 128 MiB of `[],` cost
milliseconds and no memory.

The happy path decodes everything in one typed call and checks it column by column; only if
something is wrong is each piece decoded and checked alone.
"""

from collections.abc import Callable, Container, Iterable
from itertools import chain
from operator import itemgetter
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from .attributes import all_readable, unreadable
from .chunks import Chunk, chunked

MAX_ID_CHARS: Final = 1024
MAX_KIND_CHARS: Final = 64

NodeRow = tuple[str, str, str | None, str]
"""id, kind, label, attrs_json"""
EdgeKey = tuple[str, str, str]
"""src, dst, kind"""
EdgeRow = tuple[str, str, str, str]
"""src, dst, kind, attrs_json"""

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
_Kind = Annotated[str, Meta(min_length=1, max_length=MAX_KIND_CHARS)]


class Problem(Struct, frozen=True):
    """Something in a reply that could not be used; `count` alike ones, one of them in detail."""

    event_kind: str
    detail: str
    count: int = 1


class GraphRows(NamedTuple):
    """A graph as rows."""

    node_chunks: list[Chunk]
    """Of NodeRow."""
    edge_chunks: list[Chunk]
    """Of EdgeRow."""
    open_chunks: list[Chunk]
    """Of EdgeKey: the edges with an end that is not in this graph."""
    problems: list[Problem]


NULL = Raw(b"null")  # msgspec cannot say "Raw or None"


class _Node(Struct, gc=False):
    id: _Id
    kind: _Kind
    label: str | None = None
    attrs_json: str | None = None
    attrs: Raw = NULL


class _Edge(Struct, gc=False):
    src: _Id
    dst: _Id
    kind: _Kind
    attrs_json: str | None = None
    attrs: Raw = NULL


class Graph(Struct):
    """A graph whose structure is well-formed; what its texts hold is not checked yet."""

    nodes: list[_Node]
    edges: list[_Edge]


class _LooseGraph(Struct):
    nodes: list[Raw] = []
    edges: list[Raw] = []


class _Object(Struct):
    """Any JSON object; its content is skipped."""


_decode_loose = msgspec.json.Decoder(_LooseGraph).decode
_decode_node = msgspec.json.Decoder(_Node).decode
_decode_edge = msgspec.json.Decoder(_Edge).decode
_decode_object = msgspec.json.Decoder(_Object).decode

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for what cannot be read."""


class NotQuick(Exception):
    """Something is malformed, and finding out what takes its time."""


def rows_of(graph: Graph, size: int) -> GraphRows:
    """The rows of a graph that came in `size` bytes, and what of it cannot be used."""
    try:
        nodes = [(n.id, n.kind, n.label, _attrs(n)) for n in graph.nodes]
        edges = [(e.src, e.dst, e.kind, _attrs(e)) for e in graph.edges]
    except UNREADABLE:
        return _one_by_one(graph.nodes, graph.edges, _ProblemCounter(), size)
    ids = {row[0] for row in nodes}
    is_unique = len(ids) == len(nodes) and len({row[:3] for row in edges}) == len(edges)
    texts = [row[3] for rows in (nodes, edges) for row in rows if row[3] != "{}"]
    if not is_unique or _holds_nul(nodes, edges) or not all_readable(texts):
        return _one_by_one(graph.nodes, graph.edges, _ProblemCounter(), size)
    return _sorted_rows(nodes, edges, ids, [], size)


def rows_piece_by_piece(graph: Raw) -> GraphRows:
    """The rows of a malformed graph's JSON. Raises one of UNREADABLE if it is no graph at all."""
    loose, problems = _decode_loose(graph), _ProblemCounter()
    return _one_by_one(
        _decode_each(loose.nodes, _decode_node, "invalid_node", problems),
        _decode_each(loose.edges, _decode_edge, "invalid_edge", problems),
        problems,
        len(graph),
    )


def _one_by_one(
    nodes: Iterable[_Node], edges: Iterable[_Edge], problems: "_ProblemCounter", size: int
) -> GraphRows:
    by_id: dict[str, NodeRow] = {}
    for node in nodes:
        attrs = _usable_attrs(node, (node.id, node.kind), "invalid_node", problems)
        if attrs is None:
            continue
        row = (node.id, node.kind, _label(node, problems), attrs)
        if by_id.setdefault(node.id, row) is not row:
            problems.add("duplicate_node", f"{node.id[:200]!r} occurs twice in one reply")
    by_key: dict[EdgeKey, EdgeRow] = {}
    for edge in edges:
        key = (edge.src, edge.dst, edge.kind)
        attrs = _usable_attrs(edge, key, "invalid_edge", problems)
        if attrs is None:
            continue
        edge_row = (*key, attrs)
        if by_key.setdefault(key, edge_row) is not edge_row:
            problems.add("duplicate_edge", f"{key!r:.600} occurs twice in one reply")
    return _sorted_rows(list(by_id.values()), list(by_key.values()), by_id, problems.found(), size)


def _sorted_rows(
    nodes: list[NodeRow],
    edges: list[EdgeRow],
    ids: Container[str],
    problems: list[Problem],
    size: int,
) -> GraphRows:
    """Sorted by key, rows are inserted faster."""
    nodes.sort(key=itemgetter(0))
    edges.sort()  # keys are unique, so nothing beyond them is compared
    leading_out = [row[:3] for row in edges if row[0] not in ids or row[1] not in ids]
    return GraphRows(
        chunked(nodes, size), chunked(edges, size), chunked(leading_out, size), problems
    )


def _holds_nul(nodes: list[NodeRow], edges: list[EdgeRow]) -> bool:
    """SQLite's text functions stop at NUL; attributes that hold one are no JSON."""
    keys = chain.from_iterable([row[:2] for row in nodes]), chain.from_iterable(edges)
    labels = [row[2] for row in nodes if row[2]]
    return any("\0" in "".join(texts) for texts in (*keys, labels))


_Item = TypeVar("_Item", _Node, _Edge)


def _decode_each(
    items: list[Raw], decode: Callable[[Raw], _Item], event_kind: str, problems: "_ProblemCounter"
) -> Iterable[_Item]:
    for index, raw in enumerate(items):
        try:
            yield decode(raw)
        except UNREADABLE as exc:
            problems.add(event_kind, f"number {index}: {reason(exc)}")


def _attrs(item: _Node | _Edge) -> str:
    """The item's attributes as the text of a JSON object. Raises one of UNREADABLE."""
    text = item.attrs_json
    if text is not None:
        if text != "{}":
            _decode_object(text)
        return text
    if item.attrs == NULL:
        return "{}"
    _decode_object(item.attrs)
    return bytes(item.attrs).decode()


def _usable_attrs(
    item: _Node | _Edge, key: tuple[str, ...], event_kind: str, problems: "_ProblemCounter"
) -> str | None:
    """The item's attributes; None (and a problem) if they or its key cannot be used."""
    if any("\0" in part for part in key):
        problems.add(event_kind, f"{key!r:.600} contains a NUL character")
        return None
    try:
        text = _attrs(item)
        why = unreadable(text)
    except UNREADABLE as exc:
        text, why = "", reason(exc)
    if why is not None:
        problems.add(event_kind, f"{key!r:.600}: attributes: {why}")
        return None
    return text


def _label(node: _Node, problems: "_ProblemCounter") -> str | None:
    """SQLite would end a text at NUL."""
    if node.label is None or "\0" not in node.label:
        return node.label
    problems.add("invalid_text", f"{node.id[:200]!r}: NUL in the label was replaced by U+FFFD")
    return node.label.replace("\0", "\ufffd")


class _ProblemCounter:
    """Problems by kind: the first in words, the rest counted, so that a hundred thousand bad
    nodes are one row."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._count: dict[str, int] = {}

    def add(self, event_kind: str, detail: str) -> None:
        self._first.setdefault(event_kind, detail)
        self._count[event_kind] = self._count.get(event_kind, 0) + 1

    def found(self) -> list[Problem]:
        return [Problem(kind, self._first[kind], n) for kind, n in self._count.items()]


def reason(exc: BaseException) -> str:
    """Why decoding failed, without a byte of what was received: positions and types only."""
    if isinstance(exc, RecursionError):
        return "nested too deeply"
    if isinstance(exc, UnicodeDecodeError):
        return "not UTF-8"
    return str(exc)[:300]
