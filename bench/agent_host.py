"""The program that bench_agent.py measures: a host full of tasks, threads or sockets, with two
heartbeats that feel every pause. Run by the bench, not by hand.

Arguments: what it is full of, how many, and whether a heartbeat beats. Prints "ready"; when the
file `stop` appears, prints every beat that came late as JSON: [[at_ns, gap_us], ...] per heartbeat.
"""

import asyncio
import json
import os
import sys
import threading
import time

BEAT_S = 0.001
LATE_S = 0.002


def stop() -> bool:
    return os.path.exists("stop")  # noqa: PTH110 - the cheapest


class Heartbeat:
    """Remembers the beats that came later than they should."""

    def __init__(self) -> None:
        self.late: list[tuple[int, int]] = []
        self._last = time.perf_counter()

    def beat(self) -> None:
        now = time.perf_counter()
        if now - self._last > BEAT_S + LATE_S:
            self.late.append((time.time_ns(), int((now - self._last - BEAT_S) * 1e6)))
        self._last = time.perf_counter()


loop_beat, thread_beat = Heartbeat(), Heartbeat()
over = threading.Event()


def beat_in_thread() -> None:
    while not over.is_set():
        time.sleep(BEAT_S)
        thread_beat.beat()


async def frame_1(event: asyncio.Event) -> None:
    await frame_2(event)


async def frame_2(event: asyncio.Event) -> None:
    await frame_3(event)


async def frame_3(event: asyncio.Event) -> None:
    await event.wait()  # the fourth frame


async def fill_tasks(count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(frame_1(asyncio.Event())) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def fill_sockets(count: int) -> list[asyncio.Task[object]]:
    """count / 2 connections within this process; a task waits at every end."""
    waiting: list[asyncio.Task[object]] = []
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(asyncio.current_task())  # type: ignore[arg-type]
        await reader.readline()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    for _ in range(count // 2):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writers.append(writer)  # closes the connection when it is dropped
        waiting.append(asyncio.create_task(reader.readline()))
    while len(waiting) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    keep.append(writers)
    return waiting


keep: list[object] = []


def fill_threads(count: int) -> None:
    lock = threading.Lock()
    lock.acquire()

    def inner() -> None:
        with lock:
            pass

    def middle() -> None:
        inner()

    for _ in range(count):
        threading.Thread(target=middle, daemon=True).start()


async def main_asyncio(what: str, count: int, beats: bool, spin_s: float) -> None:
    if what == "tasks":
        keep.append(await fill_tasks(count))
    elif what == "sockets":
        keep.append(await fill_sockets(count))
    elif what == "threads":
        fill_threads(count)
    print("ready", flush=True)
    if not beats:
        await asyncio.Event().wait()
    while not over.is_set():
        if spin_s:
            end = time.perf_counter() + spin_s
            while time.perf_counter() < end:
                pass
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(BEAT_S)
            loop_beat.beat()


def main_trio(count: int) -> None:
    import trio

    async def frame_1() -> None:
        await frame_2()

    async def frame_2() -> None:
        await frame_3()

    async def frame_3() -> None:
        await trio.Event().wait()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(frame_1)
            await trio.lowlevel.checkpoint()
            print("ready", flush=True)
            while not over.is_set():
                await trio.sleep(BEAT_S)
                loop_beat.beat()
            nursery.cancel_scope.cancel()

    trio.run(run)


def watch() -> None:
    while not stop():
        time.sleep(0.01)
    over.set()
    print(json.dumps({"loop": loop_beat.late, "thread": thread_beat.late}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    what, count = sys.argv[1], int(sys.argv[2])
    beats = sys.argv[3] != "quiet"
    spin_s = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    threading.Thread(target=watch, daemon=True).start()
    if beats and not spin_s:
        threading.Thread(target=beat_in_thread, daemon=True).start()
    if what == "trio":
        main_trio(count)
    else:
        asyncio.run(main_asyncio(what, count, beats, spin_s))
