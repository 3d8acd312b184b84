import asyncio
import contextlib
import types

from peeps.awaitables import argument, closure, entered, slots, walk
from peeps.collectors.holdings import resources_of


@types.coroutine
def pause():
    yield "paused"


async def inner(argument_one, *, keyword):
    await pause()


async def outer():
    unset_later = 1
    del unset_later
    await inner("one", keyword="two")


def started(coroutine):
    coroutine.send(None)
    return coroutine


def names(root):
    return [code.co_name for _, code in walk(root)]


def test_a_chain_goes_from_the_root_to_the_innermost_frame():
    coroutine = started(outer())
    assert names(coroutine) == ["outer", "inner", "pause"]
    coroutine.close()


def test_running_finished_and_foreign_objects_have_no_chain():
    found = []

    async def looks_at_itself():
        found.append(walk(coroutine))

    coroutine = looks_at_itself()
    with contextlib.suppress(StopIteration):
        coroutine.send(None)
    assert found == [[]]
    assert walk(coroutine) == []
    assert walk(42) == []


def test_a_chain_goes_through_async_generators_and_await_methods():
    async def numbers():
        await pause()
        yield 1

    class Awaitable:
        def __await__(self):
            return numbers().__anext__().__await__()

    async def consume():
        async for _ in numbers():
            pass

    async def await_object():
        await Awaitable()

    for function in (consume, await_object):
        coroutine = started(function())
        assert names(coroutine)[-2:] == ["numbers", "pause"], function
        coroutine.close()


def test_arguments_are_read_without_a_frame():
    coroutine = started(outer())
    link, code = walk(coroutine)[1]
    assert argument(link, code) == "one"
    assert argument(link, code, "keyword") == "two"
    assert argument(link, code, "no_such") is None
    assert slots(link, code)[:2] == ["one", "two"]
    coroutine.close()


def test_entered_context_managers_are_on_the_value_stack():
    lock, other = asyncio.Lock(), contextlib.nullcontext()

    async def body():
        async with lock, other:
            with contextlib.ExitStack() as stack:
                stack.enter_context(contextlib.nullcontext())
                await pause()

    coroutine = started(body())
    ((link, code), _) = walk(coroutine)
    managers = list(entered(link, code))
    assert managers[:2] == [lock, other]
    assert type(managers[2]) is contextlib.ExitStack
    assert len(list(resources_of(managers[2]))) == 2
    coroutine.close()


def test_resources_are_found_behind_generators_and_conditions():
    lock = asyncio.Lock()
    condition = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def guarded():
        async with lock:
            yield

    async def body():
        async with guarded(), condition:
            await pause()

    coroutine = started(body())
    ((link, code), _) = walk(coroutine)
    first, second = entered(link, code)
    assert lock in list(resources_of(first))
    assert condition._lock in list(resources_of(second))
    coroutine.close()


def test_free_variables_by_name():
    value = object()

    def function():
        return value

    assert closure(function) == {"value": value}
    assert closure(len) == {}
