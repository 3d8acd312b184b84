"""Where a frame is decoded: here, or in another process.

Decides by size, and by whether it is well-formed. An honest hundred megabytes hold the
interpreter lock for a second, half a malformed one for a quarter; so frames above INLINE_BYTES,
and malformed ones above MALFORMED_INLINE_BYTES, go to a worker process, which is killed if it
does not finish, and the event loop only ever unpacks small chunks. Those that are decoded here
take turns, one in each round of the event loop: a hundred that arrive at once would otherwise be
decoded in one go; and they are decoded only a little ahead of whoever uses them, because rows
take several times the memory of the bytes that they were read from (a worker sends them packed).
Refuses to know what messages mean.
"""

from collections.abc import Awaitable, Callable

import trio

from peeps.wire.errors import MessageError

from ..core import offload
from ..core.graph_rows import NotQuick
from ..core.reply import HelloMessage, Reply, parse_peer_message
from ..errors import PeepsError
from .budget import Hold, ReceiveBudget

INLINE_BYTES = 512 * 1024
TURNLESS_BYTES = 4 * 1024
"""Decoded in less time than taking turns takes."""
MALFORMED_INLINE_BYTES = 32 * 1024
AHEAD_BYTES = 4 * 1024 * 1024
"""Frames of so many bytes are decoded here and not dealt with yet, at most."""

Offload = Callable[[bytes], Awaitable[bytes]]
"""Run core.offload.handle on a payload elsewhere. Raises PeepsError if that did not work out."""


class Decoder:
    """Payloads to messages."""

    def __init__(self, elsewhere: Offload, inline_bytes: int = INLINE_BYTES) -> None:
        self._elsewhere = elsewhere
        self._inline_bytes = inline_bytes
        self._turn = trio.Lock()
        self.ahead = ReceiveBudget(AHEAD_BYTES, TURNLESS_BYTES)

    async def decode(self, payload: bytes, hold: Hold | None = None) -> HelloMessage | Reply:
        """What the peer said. `hold`, of `ahead`, is kept until that is dealt with. Raises
        MessageError."""
        if len(payload) <= self._inline_bytes:
            if hold is not None:
                await self.ahead.take(hold, len(payload))
            try:
                return await self._decode_here(payload)
            except NotQuick:
                if hold is not None:
                    self.ahead.give_back(hold)
        try:
            answer = await self._elsewhere(payload)
        except PeepsError as exc:
            raise MessageError(f"a message of {len(payload)} bytes: {exc.message}") from None
        return offload.unpack(answer)

    async def _decode_here(self, payload: bytes) -> HelloMessage | Reply:
        quickly = len(payload) > MALFORMED_INLINE_BYTES
        if len(payload) <= TURNLESS_BYTES:
            return parse_peer_message(payload, quickly=quickly)
        async with self._turn:
            await trio.lowlevel.checkpoint()  # everybody else had a turn since the last one
            return parse_peer_message(payload, quickly=quickly)
