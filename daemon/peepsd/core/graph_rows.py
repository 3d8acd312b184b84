"""A graph's JSON to rows, tolerantly.

Decides what one malformed piece costs: a bad node costs that node, a bad edge that edge.
Refuses to know who sent it and which message it came in. Structure that the protocol does not
name is skipped, never built, so that 128 MiB of `[],` cost milliseconds
and no memory.

The happy path decodes all nodes in one typed call; only if that fails is each decoded alone.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

MAX_ID_CHARS: Final = 1024
MAX_KIND_CHARS: Final = 64
ROWS_PER_CHUNK: Final = 2000

NodeRow = tuple[str, str, str | None, str]
"""id, kind, label, attrs_json"""
EdgeRow = tuple[str, str, str, str]
"""src, dst, kind, attrs_json"""
Row = TypeVar("Row", NodeRow, EdgeRow)

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
_Kind = Annotated[str, Meta(min_length=1, max_length=MAX_KIND_CHARS)]


class Problem(Struct, frozen=True):
    """Something in a reply that could not be used; `count` alike ones, one of them in detail."""

    event_kind: str
    detail: str
    count: int = 1


class Chunk(Struct, frozen=True):
    """At most ROWS_PER_CHUNK rows, sorted by key and free of duplicates, as the text of a JSON
    array of arrays: the form in which SQLite takes them without touching Python objects."""

    count: int
    rows_json: str


class GraphRows(NamedTuple):
    """A graph as rows: NodeRow and EdgeRow."""

    node_chunks: list[Chunk]
    edge_chunks: list[Chunk]
    problems: list[Problem]


NULL = Raw(b"null")  # msgspec cannot say "Raw or None"


class _Node(Struct):
    id: _Id
    kind: _Kind
    label: str | None = None
    attrs_json: str | None = None
    attrs: Raw = NULL


class _Edge(Struct):
    src: _Id
    dst: _Id
    kind: _Kind
    attrs_json: str | None = None
    attrs: Raw = NULL


class _Graph(Struct):
    nodes: list[_Node]
    edges: list[_Edge]


class _LooseGraph(Struct):
    nodes: list[Raw] = []
    edges: list[Raw] = []


class _Object(Struct):
    """Any JSON object; its content is skipped."""


_decode_graph = msgspec.json.Decoder(_Graph).decode
_decode_loose = msgspec.json.Decoder(_LooseGraph).decode
_decode_node = msgspec.json.Decoder(_Node).decode
_decode_edge = msgspec.json.Decoder(_Edge).decode
_decode_object = msgspec.json.Decoder(_Object).decode

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for what cannot be read."""


class NotQuick(Exception):
    """Something is malformed, and finding out what takes its time."""


def decode_graph(graph: Raw, *, quickly: bool = False) -> GraphRows:
    """The rows of a graph's JSON, and what of it cannot be used. Raises one of UNREADABLE if
    it is no graph at all; with `quickly`, NotQuick if anything in it is malformed."""
    problems = _ProblemCounter()
    nodes: Iterable[_Node]
    edges: Iterable[_Edge]
    try:
        whole = _decode_graph(graph)
        nodes, edges = whole.nodes, whole.edges
    except UNREADABLE:
        if quickly:
            raise NotQuick from None
        # Something in it is malformed: find out what, and keep the rest.
        loose = _decode_loose(graph)
        nodes = _decode_each(loose.nodes, _decode_node, "invalid_node", problems)
        edges = _decode_each(loose.edges, _decode_edge, "invalid_edge", problems)
    by_id: dict[str, NodeRow] = {}
    for node in nodes:
        attrs = _attrs(node, (node.id, node.kind), "invalid_node", problems)
        if attrs is None:
            continue
        row = (node.id, node.kind, _label(node, problems), attrs)
        if by_id.setdefault(node.id, row) is not row:
            problems.add("duplicate_node", f"{node.id[:200]!r} occurs twice in one reply")
    by_key: dict[tuple[str, str, str], EdgeRow] = {}
    for edge in edges:
        key = (edge.src, edge.dst, edge.kind)
        attrs = _attrs(edge, key, "invalid_edge", problems)
        if attrs is None:
            continue
        edge_row = (*key, attrs)
        if by_key.setdefault(key, edge_row) is not edge_row:
            problems.add("duplicate_edge", f"{key!r:.600} occurs twice in one reply")
    # Rows sorted by key are inserted faster.
    return GraphRows(
        _chunked([by_id[k] for k in sorted(by_id)]),
        _chunked([by_key[k] for k in sorted(by_key)]),
        problems.found(),
    )


_Item = TypeVar("_Item", _Node, _Edge)


def _decode_each(
    items: list[Raw], decode: Callable[[Raw], _Item], event_kind: str, problems: "_ProblemCounter"
) -> Iterable[_Item]:
    for index, raw in enumerate(items):
        try:
            yield decode(raw)
        except UNREADABLE as exc:
            problems.add(event_kind, f"number {index}: {reason(exc)}")


def _attrs(
    item: _Node | _Edge, key: tuple[str, ...], event_kind: str, problems: "_ProblemCounter"
) -> str | None:
    """The item's attributes as the text of a JSON object; None (and a problem) if it has none
    that is usable. SQLite's text functions stop at NUL, so no key may hold one."""
    for part in key:
        if "\0" in part:
            problems.add(event_kind, f"{key!r:.600} contains a NUL character")
            return None
    text = item.attrs_json
    if text == "{}":
        return text
    try:
        if text is not None:
            _decode_object(text)
            return text
        if item.attrs != NULL:
            _decode_object(item.attrs)
            return bytes(item.attrs).decode()
    except UNREADABLE as exc:
        problems.add(event_kind, f"{key!r:.600}: attributes: {reason(exc)}")
        return None
    return "{}"


def _label(node: _Node, problems: "_ProblemCounter") -> str | None:
    """SQLite would end a text at NUL."""
    if node.label is None or "\0" not in node.label:
        return node.label
    problems.add("invalid_text", f"{node.id[:200]!r}: NUL in the label was replaced by U+FFFD")
    return node.label.replace("\0", "\ufffd")


def _chunked(rows: list[Row]) -> list[Chunk]:
    slices = [rows[i : i + ROWS_PER_CHUNK] for i in range(0, len(rows), ROWS_PER_CHUNK)]
    return [Chunk(len(part), msgspec.json.encode(part).decode()) for part in slices]


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
