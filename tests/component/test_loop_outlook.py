"""What may set a sleeping loop in motion is counted, without what belongs to the loop itself."""

import asyncio
import os
import socket

import trio
import uvloop

from tests.component.test_trio_tasks import trio_host
from tests.support.insides import asyncio_host, look


def outlook():
    (node,) = look().of_kind("event_loop")
    return {name: node["attrs"].get(name) for name in ("listens_to", "next_timer_s")}


def test_a_loop_that_only_other_threads_can_wake():
    async def main(*nursery):
        await (trio if nursery else asyncio).sleep(0)

    with asyncio_host(main):
        assert outlook() == {"listens_to": 0, "next_timer_s": None}
    with trio_host(main):
        assert outlook()["listens_to"] == 0


def test_datagrams_readers_and_timers_of_asyncio():
    inlet, outlet = os.pipe()
    opened = []

    async def main():
        loop = asyncio.get_running_loop()
        local = ("127.0.0.1", 0)
        opened.extend(await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local))
        loop.add_reader(inlet, print)
        loop.call_later(1000, print)

    with asyncio_host(main) as loop:
        found = outlook()
        loop.call_soon_threadsafe(loop.remove_reader, inlet)
        loop.call_soon_threadsafe(opened[0].close)
    assert found["listens_to"] == 2
    assert 900 < found["next_timer_s"] <= 1000
    os.close(inlet)
    os.close(outlet)


def test_descriptors_and_deadlines_of_trio():
    ours, theirs = socket.socketpair()

    async def main(nursery):
        nursery.start_soon(trio.lowlevel.wait_readable, ours)
        nursery.start_soon(trio.sleep, 1000)

    with ours, theirs, trio_host(main):
        found = outlook()
    assert found["listens_to"] == 1
    assert 900 < found["next_timer_s"] <= 1000


def test_uvloop_does_not_tell():
    async def main():
        await asyncio.sleep(0)

    with asyncio_host(main, uvloop.new_event_loop):
        for node in look().of_kind("event_loop"):
            assert node["attrs"].get("listens_to") is None
