"""An async context that outlives one test: a trio loop in a thread, driven from sync tests."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, TypeVar

import trio

T = TypeVar("T")
Run = Callable[..., Any]


@contextmanager
def held_open(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[tuple[T, Run]]:
    """Enter `make()` in a thread; yield what it gives and `run(async_function, *args)`."""
    ready = threading.Event()
    box: dict[str, Any] = {}

    async def main() -> None:
        stop = trio.Event()
        async with make() as value:
            box.update(value=value, token=trio.lowlevel.current_trio_token(), stop=stop)
            ready.set()
            await stop.wait()

    def thread() -> None:
        try:
            trio.run(main)
        except BaseException as error:
            box["error"] = error
        finally:
            ready.set()

    def run(function: Callable[..., Awaitable[object]], *args: object) -> object:
        return trio.from_thread.run(function, *args, trio_token=box["token"])

    runner = threading.Thread(target=thread)
    runner.start()
    ready.wait()
    try:
        if "value" in box:
            yield box["value"], run
    finally:
        if "token" in box and runner.is_alive():
            with suppress(trio.RunFinishedError):
                trio.from_thread.run_sync(box["stop"].set, trio_token=box["token"])
        runner.join()
    if "error" in box:
        raise box["error"]
