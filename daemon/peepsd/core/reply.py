"""A frame's payload to a typed message: who speaks, and the rows of the graph it sent.

Decides what is well-formed and what one malformed piece costs: a bad node costs that node, a
bad graph costs that reply, bad JSON costs that frame. Refuses to know connections, SQLite and
whether anybody asked. Structure that the protocol does not name is skipped, never built
(security.md section 6), so that 128 MiB of `[],` cost milliseconds and no memory.

The happy path decodes all nodes in one typed call; only if that fails is each decoded alone.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from peeps.wire.errors import MessageError
from peeps.wire.messages import GRAPH_REPLY, HELLO

MAX_ID_CHARS: Final = 1024
MAX_KIND_CHARS: Final = 64
ROWS_PER_CHUNK: Final = 2000

NodeRow = tuple[str, str, str | None, str]
"""id, kind, label, attrs_json"""
EdgeRow = tuple[str, str, str, str]
"""src, dst, kind, attrs_json"""
Row = TypeVar("Row", NodeRow, EdgeRow)

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Pid = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
_Kind = Annotated[str, Meta(min_length=1, max_length=MAX_KIND_CHARS)]


class Problem(Struct, frozen=True):
    """Something in a reply that could not be used; `count` alike ones, one of them in detail."""

    event_kind: str
    detail: str
    count: int = 1


class HelloMessage(Struct, frozen=True):
    """A peer introduces itself."""

    process: str
    pid: _Pid
    host: str | None = None
    agent: str | None = None
    token: str | None = None


class Reply(Struct):
    """One process's answer to one snapshot request.

    Chunks hold at most ROWS_PER_CHUNK rows, sorted by key and free of duplicates: lists as
    decoded here, or the same lists as msgpack when another process did the decoding.
    """

    snapshot_id: int
    process: str
    pid: int
    has_graph: bool
    error: str | None = None
    captured_at_ns: int | None = None
    capture_ns: int | None = None
    node_count: int = 0
    edge_count: int = 0
    node_chunks: list[Any] = []
    edge_chunks: list[Any] = []
    problems: list[Problem] = []


class BadReply(MessageError):
    """A reply whose snapshot can be told, but not its graph."""

    def __init__(self, message: str, snapshot_id: int) -> None:
        super().__init__(message)
        self.snapshot_id = snapshot_id


class UnknownMessage(MessageError):
    """A well-formed object of a type that the daemon does not take."""


_NULL = Raw(b"null")  # msgspec cannot say "Raw or None"


class _Kinded(Struct):
    type: str
    snapshot_id: Raw = _NULL


class _GraphReply(Struct):
    snapshot_id: _Int64
    process: str
    pid: _Pid
    graph: Raw = _NULL
    error: str | None = None
    captured_at_ns: _Int64 | None = None
    capture_ns: _Int64 | None = None


class _Node(Struct):
    id: _Id
    kind: _Kind
    label: str | None = None
    attrs_json: str | None = None
    attrs: Raw = _NULL


class _Edge(Struct):
    src: _Id
    dst: _Id
    kind: _Kind
    attrs_json: str | None = None
    attrs: Raw = _NULL


class _Graph(Struct):
    nodes: list[_Node]
    edges: list[_Edge]


class _LooseGraph(Struct):
    nodes: list[Raw] = []
    edges: list[Raw] = []


class _Object(Struct):
    """Any JSON object; its content is skipped."""


_decode_kinded = msgspec.json.Decoder(_Kinded).decode
_decode_hello = msgspec.json.Decoder(HelloMessage).decode
_decode_reply = msgspec.json.Decoder(_GraphReply).decode
_decode_graph = msgspec.json.Decoder(_Graph).decode
_decode_loose = msgspec.json.Decoder(_LooseGraph).decode
_decode_node = msgspec.json.Decoder(_Node).decode
_decode_edge = msgspec.json.Decoder(_Edge).decode
_decode_object = msgspec.json.Decoder(_Object).decode
_decode_int = msgspec.json.Decoder(_Int64).decode

_unpack_reply = msgspec.msgpack.Decoder(Reply).decode
_unpack_nodes = msgspec.msgpack.Decoder(list[NodeRow]).decode
_unpack_edges = msgspec.msgpack.Decoder(list[EdgeRow]).decode

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse_peer_message(payload: bytes) -> HelloMessage | Reply:
    """What a peer said.

    Raises BadReply if it answers a known snapshot but cannot be used, UnknownMessage for other
    types, MessageError for everything else.
    """
    mended = 0
    try:
        kinded = _decode_kinded(payload)
    except _UNREADABLE:
        # Peers that escape file names byte by byte send lone surrogates; the rest is good.
        payload, mended = _mend_surrogates(payload)
        kinded = _read(_decode_kinded, payload, "not a protocol message")
    if kinded.type == HELLO:
        return _read(_decode_hello, payload, "malformed hello")
    if kinded.type == GRAPH_REPLY:
        reply = _parse_reply(payload, kinded.snapshot_id)
        if mended:
            text = "lone surrogates were replaced by U+FFFD"
            reply.problems = [*reply.problems, Problem("invalid_text", text, mended)]
        return reply
    raise UnknownMessage(f"unexpected message type {kinded.type[:64]!r}")


def node_rows(chunk: Any) -> list[NodeRow]:
    """The rows of one node chunk of a Reply, wherever it was decoded."""
    return _unpack_nodes(chunk) if isinstance(chunk, bytes) else list(chunk)


def edge_rows(chunk: Any) -> list[EdgeRow]:
    """The rows of one edge chunk of a Reply, wherever it was decoded."""
    return _unpack_edges(chunk) if isinstance(chunk, bytes) else list(chunk)


def pack_reply(reply: Reply) -> bytes:
    """The reply as msgpack, its chunks packed on their own so that they are unpacked one by
    one: what a process that decodes for another sends back."""
    reply.node_chunks = [msgspec.msgpack.encode(chunk) for chunk in reply.node_chunks]
    reply.edge_chunks = [msgspec.msgpack.encode(chunk) for chunk in reply.edge_chunks]
    return msgspec.msgpack.encode(reply)


def unpack_reply(packed: bytes) -> Reply:
    """The inverse of pack_reply; the chunks stay packed."""
    return _unpack_reply(packed)


_T = TypeVar("_T")


def _read(decode: Callable[[bytes], _T], payload: bytes, what: str) -> _T:
    try:
        return decode(payload)
    except _UNREADABLE as exc:
        raise MessageError(f"{what}: {_reason(exc)}") from None


# One JSON escape: a surrogate pair, a lone surrogate (captured), or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _mend_surrogates(payload: bytes) -> tuple[bytes, int]:
    """The payload with lone surrogate escapes replaced by U+FFFD, and how many there were."""
    mended = 0

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal mended
        if match[1] is None:
            return match[0]
        mended += 1
        return b"\\ufffd"

    return _ESCAPE.sub(mend, payload), mended


def _parse_reply(payload: bytes, raw_id: Raw) -> Reply:
    try:
        message = _decode_reply(payload)
    except _UNREADABLE as exc:
        text = f"malformed graph_reply: {_reason(exc)}"
        try:
            snapshot_id = _decode_int(raw_id)
        except _UNREADABLE:
            raise MessageError(text) from None
        raise BadReply(text, snapshot_id) from None
    reply = Reply(
        snapshot_id=message.snapshot_id,
        process=message.process,
        pid=message.pid,
        has_graph=message.graph != _NULL,
        error=message.error,
        captured_at_ns=message.captured_at_ns,
        capture_ns=message.capture_ns,
    )
    if message.graph != _NULL:
        try:
            _fill(reply, message.graph)
        except _UNREADABLE as exc:
            text = f"malformed graph: {_reason(exc)}"
            raise BadReply(text, reply.snapshot_id) from None
    return reply


def _fill(reply: Reply, graph: Raw) -> None:
    """Set the reply's rows and problems from the graph's JSON."""
    problems = _ProblemCounter()
    nodes: Iterable[_Node]
    edges: Iterable[_Edge]
    try:
        whole = _decode_graph(graph)
        nodes, edges = whole.nodes, whole.edges
    except _UNREADABLE:
        # Something in it is malformed: find out what, and keep the rest.
        loose = _decode_loose(graph)
        nodes = _decode_each(loose.nodes, _decode_node, "invalid_node", problems)
        edges = _decode_each(loose.edges, _decode_edge, "invalid_edge", problems)
    by_id: dict[str, NodeRow] = {}
    for node in nodes:
        attrs = _attrs(node, "invalid_node", node.id, problems)
        if attrs is None:
            continue
        row = (node.id, node.kind, node.label, attrs)
        if by_id.setdefault(node.id, row) is not row:
            problems.add("duplicate_node", f"{node.id[:200]!r} occurs twice in one reply")
    by_key: dict[tuple[str, str, str], EdgeRow] = {}
    for edge in edges:
        key = (edge.src, edge.dst, edge.kind)
        attrs = _attrs(edge, "invalid_edge", f"{edge.src[:200]} -> {edge.dst[:200]}", problems)
        if attrs is None:
            continue
        edge_row = (*key, attrs)
        if by_key.setdefault(key, edge_row) is not edge_row:
            problems.add("duplicate_edge", f"{key!r:.600} occurs twice in one reply")
    reply.node_count, reply.edge_count = len(by_id), len(by_key)
    # Rows sorted by key are inserted faster.
    reply.node_chunks = _chunked([by_id[k] for k in sorted(by_id)])
    reply.edge_chunks = _chunked([by_key[k] for k in sorted(by_key)])
    reply.problems = problems.found()


_Item = TypeVar("_Item", _Node, _Edge)


def _decode_each(
    items: list[Raw], decode: Callable[[Raw], _Item], event_kind: str, problems: "_ProblemCounter"
) -> Iterable[_Item]:
    for index, raw in enumerate(items):
        try:
            yield decode(raw)
        except _UNREADABLE as exc:
            problems.add(event_kind, f"number {index}: {_reason(exc)}")


def _attrs(
    item: _Node | _Edge, event_kind: str, name: str, problems: "_ProblemCounter"
) -> str | None:
    """The item's attributes as the text of a JSON object; None (and a problem) if it has none
    that is usable. SQLite's text functions stop at NUL, so no key may hold one."""
    keys = (item.id, item.kind) if isinstance(item, _Node) else (item.src, item.dst, item.kind)
    if any("\0" in key for key in keys):
        problems.add(event_kind, f"{name[:200]!r} contains a NUL character")
        return None
    try:
        if item.attrs_json is not None:
            _decode_object(item.attrs_json)
            return item.attrs_json
        if item.attrs != _NULL:
            _decode_object(item.attrs)
            return bytes(item.attrs).decode()
    except _UNREADABLE as exc:
        problems.add(event_kind, f"{name[:200]!r}: attributes: {_reason(exc)}")
        return None
    return "{}"


def _chunked(rows: list[Row]) -> list[Sequence[Row]]:
    return [rows[i : i + ROWS_PER_CHUNK] for i in range(0, len(rows), ROWS_PER_CHUNK)]


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


def _reason(exc: BaseException) -> str:
    """Why decoding failed, without a byte of what was received: positions and types only."""
    if isinstance(exc, RecursionError):
        return "nested too deeply"
    if isinstance(exc, UnicodeDecodeError):
        return "not UTF-8"
    return str(exc)[:300]
