"""Decoding in another process: what goes over the pipe.

Decides the form of the answer: one msgpack object that holds a packed Reply or an error. The
worker side is `handle`; it has no state. Refuses to know processes and pipes.
"""

import msgspec

from peeps.wire.errors import MessageError

from .reply import BadReply, Reply, UnknownMessage, pack_reply, parse_peer_message, unpack_reply

NONE = msgspec.Raw(b"\xc0")  # nil


class _Answer(msgspec.Struct):
    reply: msgspec.Raw = NONE
    error: str = ""
    is_unknown: bool = False
    snapshot_id: int | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Answer).decode


def handle(payload: bytes) -> bytes:
    """Decode one frame's payload; never raises for anything a peer can send."""
    try:
        message = parse_peer_message(payload)
    except BadReply as exc:
        return _encode(_Answer(error=str(exc), snapshot_id=exc.snapshot_id))
    except UnknownMessage as exc:
        return _encode(_Answer(error=str(exc), is_unknown=True))
    except MessageError as exc:
        return _encode(_Answer(error=str(exc)))
    except MemoryError:
        return _encode(_Answer(error="needs more memory to decode than allowed"))
    if not isinstance(message, Reply):
        return _encode(_Answer(error="a hello of this size is not sensible", is_unknown=True))
    return _encode(_Answer(reply=pack_reply(message)))


def unpack(answer: bytes) -> Reply:
    """What `handle` found. Raises the MessageError that it met."""
    found = _decode(answer)
    if found.reply != NONE:
        return unpack_reply(found.reply)
    if found.snapshot_id is not None:
        raise BadReply(found.error, found.snapshot_id)
    if found.is_unknown:
        raise UnknownMessage(found.error)
    raise MessageError(found.error)
