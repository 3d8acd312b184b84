"""Where frames are decoded: small and well-formed ones here, everything else elsewhere."""

import contextlib
import json

import pytest

from peeps.wire.errors import MessageError
from peepsd.core import offload
from peepsd.core.reply import Reply
from peepsd.errors import StoreError
from peepsd.net.decoding import Decoder

from ..support.peers import graph


def reply(nodes: int, *more: object) -> bytes:
    content = graph("p", nodes=nodes)
    content["nodes"] += more
    message = {"type": "graph_reply", "snapshot_id": 1, "process": "p", "pid": 1, "graph": content}
    return json.dumps(message).encode()


CASES = [
    ("small", reply(10), False),
    ("small and malformed", reply(10, 1, 2), False),
    ("middling", reply(1500), False),
    ("middling, with something malformed", reply(1500, 1), True),
    ("middling, with a lone surrogate", reply(1500).replace(b'"p"', b'"\\ud800"'), True),
    ("middling and no JSON", reply(1500)[:-1], True),
    ("large", reply(10_000), True),
]


@pytest.mark.parametrize(
    ("payload", "is_elsewhere"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
async def test_what_takes_its_time_is_done_elsewhere(payload: bytes, is_elsewhere: bool) -> None:
    sent = []

    async def elsewhere(payload: bytes) -> bytes:
        sent.append(payload)
        return offload.handle(payload)

    with contextlib.suppress(MessageError):
        message = await Decoder(elsewhere).decode(payload)
        assert isinstance(message, Reply)
        assert message.node_count >= 10
    assert bool(sent) is is_elsewhere


async def test_what_cannot_be_done_elsewhere_is_the_messages_error() -> None:
    async def elsewhere(payload: bytes) -> bytes:
        raise StoreError("no worker could be started")

    with pytest.raises(MessageError, match="no worker"):
        await Decoder(elsewhere, inline_bytes=0).decode(b"{}")
