"""Memory for frames: who waits, who goes on, and that nobody waits for ever."""

import trio
from trio.testing import wait_all_tasks_blocked

from peepsd.net.budget import Hold, ReceiveBudget


async def reader(budget: ReceiveBudget, name: str, sizes: list[int], done: list[str]) -> None:
    """Take each size in turn, then give it all back."""
    async with budget.frame() as hold:
        for size in sizes:
            await budget.take(hold, size)
            await wait_all_tasks_blocked()
    done.append(name)


async def test_what_fits_goes_on_and_the_rest_in_order_of_arrival() -> None:
    budget, granted = ReceiveBudget(10, 0), []

    async def one(hold: Hold, name: str, size: int) -> None:
        await budget.take(hold, size)
        granted.append(name)

    holds = {name: Hold() for name in "abcd"}
    async with trio.open_nursery() as nursery:
        for name, size in (("a", 8), ("b", 6), ("c", 6), ("d", 1)):
            nursery.start_soon(one, holds[name], name, size)
            await wait_all_tasks_blocked()
        assert granted == ["a", "d"]
        assert budget.statistics() == {
            "used_bytes": 9, "limit_bytes": 10, "frames": 4, "waiting": 2,
        }  # fmt: skip
        for name, expected in (("a", "adb"), ("b", "adbc")):
            budget.give_back(holds[name])
            await wait_all_tasks_blocked()
            assert "".join(granted) == expected
    for hold in holds.values():
        budget.give_back(hold)
    assert budget.statistics()["used_bytes"] == budget.statistics()["frames"] == 0


async def test_half_received_frames_never_block_each_other() -> None:
    budget, done = ReceiveBudget(10, 0), list[str]()
    async with trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(reader, budget, name, [4, 4, 30], done)
    assert sorted(done) == list("abcd")
    assert budget.statistics()["used_bytes"] == 0


async def test_who_is_cancelled_while_waiting_leaves_nothing_behind() -> None:
    budget, done = ReceiveBudget(10, 0), list[str]()
    hold = Hold()
    await budget.take(hold, 10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader, budget, "cancelled", [5], done)
        await wait_all_tasks_blocked()
        assert budget.statistics()["waiting"] == 1
        nursery.cancel_scope.cancel()
    assert (budget.statistics()["waiting"], budget.statistics()["frames"]) == (0, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader, budget, "next", [5], done)
        await wait_all_tasks_blocked()
        budget.give_back(hold)
    assert done == ["next"]
    assert budget.statistics()["used_bytes"] == 0
