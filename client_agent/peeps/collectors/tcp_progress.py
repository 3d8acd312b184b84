"""What the kernel counts on TCP connections: bytes each way, and for how long nothing has moved.

Decides how to ask: one question for each connection to the kernel's socket diagnosis, many at a
time, never through a socket of the host. Refuses to know whose a connection is and what its
silence means. Runs outside of the cut, within a bound; where the kernel does not answer, less is
told, and why. Linux: struct tcp_info in include/uapi/linux/tcp.h, sock_diag(7).
"""

import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import unpatched
from ..graph import Breath
from .socket_addresses import Address, Pair

AT_ONCE = 32
"""So many questions go out together: their answers must fit the buffer of one socket."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_INFO = 2
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
_ANSWER_BYTES = 72

# In struct tcp_info: since when, in milliseconds, data was last sent and last received; then the
# bytes confirmed and received, and, in newer kernels, all that were sent and those sent again.
_LAST_SENT, _LAST_RECEIVED = 44, 52
_CONFIRMED = 120
_SENT = 200


class Progress(NamedTuple):
    """How far a connection has come."""

    bytes_sent: int
    """Without those sent again. Older kernels: those that the other end has confirmed."""
    bytes_received: int
    quiet_s: float
    """For how long no data has gone either way."""
    received_last: bool
    """The other end has spoken since this one did: no question of ours is open."""


def ask(pairs: Sequence[Pair], within_s: float) -> tuple[dict[Pair, Progress], str | None]:
    """The progress of TCP connections, the first ones first, as far as time allows; and why it
    is not known of others, if so."""
    end = unpatched.monotonic() + within_s
    found: dict[Pair, Progress] = {}
    try:
        kernel = unpatched.CSocket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
        )
    except (OSError, AttributeError) as exc:
        return found, _refused(exc)
    try:
        kernel.setblocking(False)
        breath = Breath()
        asked = error = 0
        while asked < len(pairs):
            error = _ask_some(kernel, pairs, asked, found, breath) or error
            asked += AT_ONCE
            if unpatched.monotonic() > end:
                break
        left = max(0, len(pairs) - asked)
    except OSError as exc:
        return found, _refused(exc)
    finally:
        kernel.close()
    if left:
        return found, f"the time was up with {left} of {len(pairs)} connections to go"
    if error and not found:
        return found, f"the kernel does not tell: {os.strerror(error)}"
    return found, None


def _refused(exc: Exception) -> str:
    return f"the kernel may not be asked: {getattr(exc, 'strerror', None) or type(exc).__name__}"


def _ask_some(
    kernel: Any, pairs: Sequence[Pair], start: int, found: dict[Pair, Progress], breath: Breath
) -> int:
    """Ask, and note the answers: they are there as soon as the questions are. One that is late
    comes with those to the next questions; so each question's number is its pair's, and is used
    once. Returns the number of an error, if one came."""
    batch = range(start, min(start + AT_ONCE, len(pairs)))
    kernel.send(b"".join([question(pairs[number], number) for number in batch]))
    error = 0
    for _ in range(2 * AT_ONCE):
        breath.take()
        try:
            answer = kernel.recv(4096)
        except BlockingIOError:
            break
        number, progress = parse_answer(answer)
        if isinstance(progress, int):
            error = progress
        elif progress is not None and number < batch.stop:
            found[pairs[number]] = progress
    return error


def question(pair: Pair, number: int) -> bytes:
    """The request for one connection's counters; the answer carries the same number."""
    local, remote = _packed(pair.local), _packed(pair.remote)
    family = socket.AF_INET6 if len(local) == 16 else socket.AF_INET
    ports = struct.pack("!HH", int(pair.local.port), int(pair.remote.port))
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, 0xFFFFFFFF)
    body = request + ports + local.ljust(16, b"\0") + remote.ljust(16, b"\0") + _NO_COOKIE
    head = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, number, 0)
    return head + body


def _packed(address: Address) -> bytes:
    host = address.text.rpartition(":")[0]
    if host.startswith("["):
        return socket.inet_pton(socket.AF_INET6, host[1:-1])
    return socket.inet_pton(socket.AF_INET, host)


def parse_answer(answer: bytes) -> tuple[int, Progress | int | None]:
    """The number of the question, with what was told: None if nothing, an error's number if
    the kernel refused (a connection that has gone by now: ENOENT)."""
    length, kind, _, number, _ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        return number, -code
    offset = _HEADER.size + _ANSWER_BYTES
    while kind == _SOCK_DIAG_BY_FAMILY and offset + 4 <= min(length, len(answer)):
        size, attribute = struct.unpack_from("=HH", answer, offset)
        if attribute == _INFO:
            return number, parse_info(answer[offset + 4 : offset + size])
        offset += max(4, (size + 3) & ~3)
    return number, None


def parse_info(info: bytes) -> Progress | None:
    """The counters in a struct tcp_info, which grew with the years; None if it has none yet."""
    if len(info) < _CONFIRMED + 16:
        return None
    sent, received = struct.unpack_from("=QQ", info, _CONFIRMED)
    if len(info) >= _SENT + 16:
        total, again = struct.unpack_from("=QQ", info, _SENT)
        sent = total - again
    (since_sent,) = struct.unpack_from("=I", info, _LAST_SENT)
    (since_received,) = struct.unpack_from("=I", info, _LAST_RECEIVED)
    quiet_s = min(since_sent, since_received) / 1000
    return Progress(sent, received, quiet_s, since_received < since_sent)
