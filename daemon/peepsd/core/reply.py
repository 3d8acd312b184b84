"""A frame's payload to a typed message: who speaks, and what it says.

Decides which messages are well-formed, and what is still told by one that is not: a bad graph
costs that reply, bad JSON that frame. Refuses to know connections, SQLite and whether anybody
asked. What is inside a graph is core.graph_rows' business.
"""

import re
from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from peeps.wire.errors import MessageError
from peeps.wire.messages import GRAPH_REPLY, HELLO

from .chunks import Chunk
from .graph_rows import (
    NULL,
    UNREADABLE,
    Graph,
    GraphRows,
    NotQuick,
    Problem,
    reason,
    rows_of,
    rows_piece_by_piece,
)

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Pid = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class HelloMessage(Struct, frozen=True):
    """A peer introduces itself."""

    process: str
    pid: _Pid
    host: str | None = None
    agent: str | None = None
    token: str | None = None


class Reply(Struct):
    """One process's answer to one snapshot request; its rows are as in GraphRows."""

    snapshot_id: int
    process: str
    pid: int
    has_graph: bool
    error: str | None = None
    captured_at_ns: int | None = None
    capture_ns: int | None = None
    node_chunks: list[Chunk] = []
    edge_chunks: list[Chunk] = []
    open_chunks: list[Chunk] = []
    problems: list[Problem] = []

    @property
    def node_count(self) -> int:
        """Nodes that can be used."""
        return sum(chunk.count for chunk in self.node_chunks)

    @property
    def edge_count(self) -> int:
        """Edges that can be used."""
        return sum(chunk.count for chunk in self.edge_chunks)


class BadReply(MessageError):
    """A reply whose snapshot can be told, but not its graph."""

    def __init__(self, message: str, snapshot_id: int) -> None:
        super().__init__(message)
        self.snapshot_id = snapshot_id


class UnknownMessage(MessageError):
    """A well-formed object of a type that the daemon does not take."""


class _Kinded(Struct):
    type: str
    snapshot_id: Raw = NULL


class _Head(Struct):
    """What a graph_reply says beside its graph."""

    snapshot_id: _Int64
    process: str
    pid: _Pid
    error: str | None = None
    captured_at_ns: _Int64 | None = None
    capture_ns: _Int64 | None = None


class _WellFormed(_Head, kw_only=True, tag_field="type", tag=GRAPH_REPLY):
    """A graph_reply without a flaw in its structure: the only thing that is read in one go."""

    graph: Graph | None = None


class _GraphReply(_Head, kw_only=True):
    graph: Raw = NULL


_decode_well_formed = msgspec.json.Decoder(_WellFormed).decode
_decode_kinded = msgspec.json.Decoder(_Kinded).decode
_decode_hello = msgspec.json.Decoder(HelloMessage).decode
_decode_reply = msgspec.json.Decoder(_GraphReply).decode
_decode_graph = msgspec.json.Decoder(Graph).decode
_decode_int = msgspec.json.Decoder(_Int64).decode

_unpack_reply = msgspec.msgpack.Decoder(Reply).decode


def parse_peer_message(payload: bytes, *, quickly: bool = False) -> HelloMessage | Reply:
    """What a peer said.

    Raises BadReply if it answers a known snapshot but cannot be used, UnknownMessage for other
    types, MessageError for everything else. With `quickly`, raises NotQuick where it would have
    to look at a malformed message piece by piece: half a megabyte of `1,` for nodes costs a
    hundred times what half a megabyte of nodes does.
    """
    try:
        message = _decode_well_formed(payload)
    except UNREADABLE:
        return _parse_any_message(payload, quickly)
    rows = None if message.graph is None else rows_of(message.graph, len(payload))
    return _reply(message, rows)


def _parse_any_message(payload: bytes, quickly: bool) -> HelloMessage | Reply:
    mended = 0
    try:
        kinded = _decode_kinded(payload)
    except UNREADABLE:
        if quickly:
            raise NotQuick from None
        # Peers that escape file names byte by byte send lone surrogates; the rest is good.
        payload, mended = _mend_surrogates(payload)
        kinded = _read(_decode_kinded, payload, "not a protocol message")
    if kinded.type == HELLO:
        return _read(_decode_hello, payload, "malformed hello")
    if kinded.type == GRAPH_REPLY:
        reply = _parse_reply(payload, kinded.snapshot_id, quickly)
        if mended:
            text = "lone surrogates were replaced by U+FFFD"
            reply.problems = [*reply.problems, Problem("invalid_text", text, mended)]
        return reply
    raise UnknownMessage(f"unexpected message type {kinded.type[:64]!r}")


def pack_reply(reply: Reply) -> Raw:
    """The reply as msgpack: what a process that decodes for another sends back."""
    packed = msgspec.structs.replace(
        reply,
        node_chunks=[chunk.as_packed() for chunk in reply.node_chunks],
        edge_chunks=[chunk.as_packed() for chunk in reply.edge_chunks],
        open_chunks=[chunk.as_packed() for chunk in reply.open_chunks],
    )
    return Raw(msgspec.msgpack.encode(packed))


def unpack_reply(packed: bytes | Raw) -> Reply:
    """The inverse of pack_reply. Its rows stay packed, within `packed`, until they are used."""
    return _unpack_reply(packed)


_T = TypeVar("_T")


def _read(decode: Callable[[bytes], _T], payload: bytes, what: str) -> _T:
    try:
        return decode(payload)
    except UNREADABLE as exc:
        raise MessageError(f"{what}: {reason(exc)}") from None


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


def _parse_reply(payload: bytes, raw_id: Raw, quickly: bool) -> Reply:
    try:
        message = _decode_reply(payload)
    except UNREADABLE as exc:
        text = f"malformed graph_reply: {reason(exc)}"
        try:
            snapshot_id = _decode_int(raw_id)
        except UNREADABLE:
            raise MessageError(text) from None
        raise BadReply(text, snapshot_id) from None
    if message.graph == NULL:
        return _reply(message, None)
    try:
        return _reply(message, _rows(message.graph, quickly))
    except UNREADABLE as exc:
        text = f"malformed graph: {reason(exc)}"
        raise BadReply(text, message.snapshot_id) from None


def _rows(graph: Raw, quickly: bool) -> GraphRows:
    try:
        return rows_of(_decode_graph(graph), len(graph))
    except UNREADABLE:
        if quickly:
            raise NotQuick from None
        return rows_piece_by_piece(graph)


def _reply(head: _Head, rows: GraphRows | None) -> Reply:
    reply = Reply(
        snapshot_id=head.snapshot_id,
        process=head.process,
        pid=head.pid,
        has_graph=rows is not None,
        error=head.error,
        captured_at_ns=head.captured_at_ns,
        capture_ns=head.capture_ns,
    )
    if rows is not None:
        reply.node_chunks, reply.edge_chunks, reply.open_chunks, reply.problems = rows
    return reply
