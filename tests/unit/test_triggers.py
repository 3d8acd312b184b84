"""When snapshots are taken by themselves, on a virtual clock."""

import os
import signal

import trio
import trio.testing

from peepsd import triggers
from peepsd.errors import NobodyConnected, StoreError


async def test_every_so_often(autojump_clock: trio.testing.MockClock) -> None:
    taken: list[float] = []

    async def take() -> None:
        taken.append(trio.current_time())

    start = trio.current_time()
    with trio.move_on_after(7):
        await triggers.every(2, take)
    assert [t - start for t in taken] == [2, 4, 6]


async def test_a_slow_one_skips_beats(autojump_clock: trio.testing.MockClock) -> None:
    taken: list[float] = []

    async def take() -> None:
        taken.append(trio.current_time())
        await trio.sleep(5)

    start = trio.current_time()
    with trio.move_on_after(15):
        await triggers.every(2, take)
    assert [t - start for t in taken] == [2, 8, 14]


async def test_failures_do_not_end_it(autojump_clock: trio.testing.MockClock) -> None:
    errors = [NobodyConnected("nobody"), StoreError("full")]
    taken = 0

    async def take() -> None:
        nonlocal taken
        taken += 1
        if errors:
            raise errors.pop()

    with trio.move_on_after(3.5):
        await triggers.every(1, take)
    assert taken == 3


async def test_on_a_signal() -> None:
    taken = trio.Event()

    async def take() -> None:
        taken.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(triggers.on_signal, take)
        os.kill(os.getpid(), signal.SIGUSR1)
        with trio.fail_after(60):
            await taken.wait()
        nursery.cancel_scope.cancel()
