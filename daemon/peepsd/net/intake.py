"""What becomes of a frame: the meaning of each message, and the record of each that has none.

Decides nothing by itself: core.session says who may speak, core.reply what is well-formed,
rounds which snapshot a reply belongs to. Refuses to know streams: participants that are not
TCP peers hand their replies to rounds directly.
"""

import time
from collections.abc import Callable

import trio

from peeps.wire.errors import MessageError

from ..core.happenings import Bus, ProcessConnected, ProcessIdentified
from ..core.identity import safe_name
from ..core.registry import Peer, Registry
from ..core.reply import BadReply, HelloMessage, Reply, UnknownMessage
from ..core.session import Answer, Session
from .budget import Hold
from .decoding import Decoder
from .problems import Problems
from .rounds import SnapshotRounds


class Refused(Exception):
    """The peer may not speak; the connection is to be closed. The text says why."""


class Frame:
    """A frame's payload, which may be large: it is let go as soon as it is decoded."""

    def __init__(self, payload: bytes) -> None:
        self.size = len(payload)
        self._payload = payload

    def take(self) -> bytes:
        """The payload, once."""
        payload, self._payload = self._payload, b""
        return payload


class Intake:
    """Takes the frames of every connection."""

    def __init__(
        self,
        registry: Registry,
        rounds: SnapshotRounds,
        decoder: Decoder,
        bus: Bus,
        problems: Problems,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._registry = registry
        self._rounds = rounds
        self._decoder = decoder
        self._bus = bus
        self._problems = problems
        self._wall_ns = wall_ns

    def admit(self, peer: Peer) -> None:
        """From now on the peer takes part in snapshots."""
        self._registry.admit(peer)
        self._bus.publish(
            ProcessConnected(self._wall_ns(), peer.connection_id, peer.remote_address)
        )

    async def frame(self, peer: Peer, session: Session, frame: Frame) -> None:
        """Deal with one frame, to the end: when this returns, a reply is stored.

        Raises Refused if the peer has to go.
        """
        arrived_s = trio.current_time()
        peer.frames_in += 1
        async with self._decoder.ahead.frame() as hold:
            message = await self._decode(peer, frame, hold)
            if message is None:
                if session.other() is Answer.REFUSE:
                    raise Refused("it spoke before showing the token")
            elif isinstance(message, HelloMessage):
                self._hello(peer, session, message)
            elif session.other() is Answer.REFUSE:
                raise Refused("it replied before showing the token")
            else:
                await self._rounds.reply(peer, message, arrived_s=arrived_s, reply_bytes=frame.size)

    async def _decode(self, peer: Peer, frame: Frame, hold: Hold) -> HelloMessage | Reply | None:
        """The message, or None when it is on record as a problem."""
        connection_id = peer.connection_id
        self._rounds.arriving(connection_id, +1)
        try:
            return await self._decoder.decode(frame.take(), hold)
        except BadReply as exc:
            self._problems.of_peer(peer, "decode_error", str(exc), snapshot_id=exc.snapshot_id)
            self._rounds.failed(connection_id, exc.snapshot_id, str(exc))
        except UnknownMessage as exc:
            self._problems.of_peer(peer, "unexpected_message", str(exc))
        except MessageError as exc:
            self._problems.of_peer(peer, "decode_error", str(exc))
            self._rounds.garbage(connection_id, str(exc))
        finally:
            self._rounds.arriving(connection_id, -1)
        return None

    def _hello(self, peer: Peer, session: Session, message: HelloMessage) -> None:
        answer = session.hello(message)
        if answer is Answer.REFUSE:
            raise Refused("its hello carries no token, or a wrong one (PEEPS_TOKEN)")
        if answer is Answer.REPEATED:
            self._problems.of_peer(peer, "unexpected_message", "a second hello")
            return
        if not peer.proc_key:
            self.admit(peer)
        peer.said_hello = True
        peer.host = safe_name(message.host) if message.host else None
        peer.agent = safe_name(message.agent) if message.agent else None
        if peer.is_identified and not peer.is_the_same(message.process, message.pid):
            self._problems.identity_changed(peer, message.process, message.pid)
        elif self._registry.identify(peer, message.process, message.pid):
            self._bus.publish(
                ProcessIdentified(
                    self._wall_ns(), peer.connection_id, peer.proc_key, peer.process, peer.pid
                )
            )
