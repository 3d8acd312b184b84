"""Jobs on one connection: their order, what they share, and that they share no failure."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
import trio
import trio_asyncio

from peepsd.errors import StoreError
from peepsd.store.actor import JOBS_AT_ONCE, ConnectionActor, Job

Statements = list[str]


@asynccontextmanager
async def running(
    path: Path, *, wait_ms: int = 0
) -> AsyncIterator[tuple[ConnectionActor, Statements, Callable[[], None]]]:
    """An actor on a table t(x UNIQUE), what SQLite was told, and how to let it begin: until then
    jobs wait."""
    statements: Statements = []
    gate = trio.Event()

    async def connect() -> aiosqlite.Connection:
        connection = await aiosqlite.connect(path, isolation_level=None)
        await connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
        await connection.execute("CREATE TABLE t (x UNIQUE)")
        await connection.set_trace_callback(statements.append)
        return connection

    async def run(actor: ConnectionActor) -> None:
        await gate.wait()
        await actor.run(connect)

    actor = ConnectionActor()
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        nursery.start_soon(run, actor)
        try:
            yield actor, statements, gate.set
        finally:
            gate.set()
            actor.close()


def insert(x: object) -> Job[object]:
    def job(db: sqlite3.Connection) -> object:
        db.execute("INSERT INTO t VALUES (?)", (x,))
        return x

    return job


def insert_and_fail(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO t VALUES ('half')")
    raise ValueError("afterwards")


def rows(path: Path) -> list[Any]:
    db = sqlite3.connect(path)
    try:
        return [x for (x,) in db.execute("SELECT x FROM t ORDER BY rowid")]
    finally:
        db.close()


async def outcomes(actor: ConnectionActor, jobs: list[Job[Any]], begin: Callable[[], None]) -> Any:
    """What became of each of these jobs, which wait together."""
    found: list[Any] = [None] * len(jobs)

    async def one(n: int, job: Job[Any]) -> None:
        try:
            found[n] = await actor.transact(job)
        except (StoreError, ValueError) as exc:
            found[n] = type(exc)

    async with trio.open_nursery() as nursery:
        for n, job in enumerate(jobs):
            nursery.start_soon(one, n, job)
            await trio.testing.wait_all_tasks_blocked()
        begin()
    return found


async def test_jobs_that_wait_share_a_transaction(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with running(path) as (actor, statements, begin):
        jobs = [insert(n) for n in range(JOBS_AT_ONCE + 10)]
        assert await outcomes(actor, jobs, begin) == list(range(JOBS_AT_ONCE + 10))
        assert statements.count("COMMIT") == 2
        assert await actor.transact(insert("alone")) == "alone"
    assert rows(path) == [*range(JOBS_AT_ONCE + 10), "alone"]


async def test_a_job_that_fails_takes_nothing_with_it(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with running(path) as (actor, statements, begin):
        jobs = [insert(1), insert_and_fail, insert(1), insert(2)]
        assert await outcomes(actor, jobs, begin) == [1, ValueError, StoreError, 2]
        assert statements.count("COMMIT") == 1
    assert rows(path) == [1, 2]


async def test_if_they_cannot_be_committed_together_each_is_tried_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"

    def roll_back_everything(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES ('half')")
        db.execute("INSERT OR ROLLBACK INTO t VALUES ('half')")  # as a full disk does

    async with running(path) as (actor, _, begin):
        jobs = [insert(1), roll_back_everything, insert(2)]
        assert await outcomes(actor, jobs, begin) == [1, StoreError, 2]
    assert rows(path) == [1, 2]


async def test_what_is_refused_is_refused_to_all_and_the_actor_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with running(path) as (actor, _, begin):
        begin()
        await actor.transact(insert(1))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert await outcomes(actor, [insert(2), insert(3)], begin) == [StoreError, StoreError]
        other.execute("ROLLBACK")
        other.close()
        await actor.transact(insert(4))
    assert rows(path) == [1, 4]


async def test_calls_are_outside_of_transactions_and_in_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    seen = []

    def look(db: sqlite3.Connection) -> None:
        seen.append((db.in_transaction, [x for (x,) in db.execute("SELECT x FROM t")]))

    async with running(path) as (actor, _, begin), trio.open_nursery() as nursery:
        for method, job in (
            (actor.transact, insert(1)),
            (actor.transact, insert(2)),
            (actor.call, look),
            (actor.transact, insert(3)),
        ):
            nursery.start_soon(method, job)
            await trio.testing.wait_all_tasks_blocked()
        begin()
    assert seen == [(False, [1, 2])]
    assert rows(path) == [1, 2, 3]


async def test_what_was_begun_is_done_though_nobody_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with running(path) as (actor, _, begin):
        with trio.move_on_after(0.01):
            await actor.transact(insert(1))
        begin()
    assert rows(path) == [1]


async def test_a_closed_actor_takes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "x.sqlite") as (actor, _, begin):
        begin()
        await actor.transact(insert(1))
        actor.close()
        with pytest.raises(StoreError, match="shutting down"):
            await actor.call(insert(2))


async def test_nobody_waits_for_an_actor_that_was_cancelled(tmp_path: Path) -> None:
    refused = []

    async def late(actor: ConnectionActor) -> None:
        with trio.CancelScope(shield=True):
            try:
                await actor.transact(insert(1))
            except StoreError as exc:
                refused.append(exc)

    actor = ConnectionActor()
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        await nursery.start(actor.run, lambda: aiosqlite.connect(tmp_path / "x.sqlite"))
        nursery.cancel_scope.cancel()
        for _ in range(2):
            nursery.start_soon(late, actor)
    assert len(refused) == 2
