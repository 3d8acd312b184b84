"""What the kernel says about real children, and about the pipes to them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from peeps.collectors.processes import (
    children_of_this_process,
    look_at,
    look_at_pipe,
    pipe_ends_of,
    pipes_of,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_child_that_waits_for_input() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        until(lambda: look_at(child.pid).blocked_on == "reading a pipe")
        seen = look_at(child.pid)
        assert (seen.program, seen.state) == ("cat", "sleeping")
        assert child.pid in children_of_this_process()
        assert [name for name, _ in pipes_of(child)] == ["stdin", "stdout"]
        assert sorted(pipe_ends_of(child.pid).values()) == [
            (child.pid, "stdin"),
            (child.pid, "stdout"),
        ]
        pipe = look_at_pipe(dict(pipes_of(child))["stdin"])
        assert pipe is not None
        assert pipe.is_empty
        assert not pipe.is_full


def test_a_child_whose_output_nobody_reads() -> None:
    command = [sys.executable, "-S", "-c", "print('x' * 1_000_000)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        until(lambda: look_at(child.pid).blocked_on == "writing a pipe")
        pipe = look_at_pipe(dict(pipes_of(child))["stdout"])
        assert pipe is not None
        assert pipe.is_full
        child.kill()


def test_a_child_that_has_exited() -> None:
    child = subprocess.Popen(["true"])
    until(lambda: look_at(child.pid).state == "exited")
    child.wait()
    assert look_at(child.pid).state is None


def test_arguments_and_environment_are_not_told() -> None:
    secret = "tell-nobody"
    environment = {**os.environ, "SECRET": secret}
    with subprocess.Popen(["cat", "-", secret], stdin=subprocess.PIPE, env=environment) as child:
        until(lambda: look_at(child.pid).program == "cat")
        assert secret not in repr(look_at(child.pid))


def test_pipes_of_an_asyncio_process() -> None:
    async def main() -> None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
        found = dict(pipes_of(child))
        assert found.keys() == {"stdin", "stdout"}
        for number in found.values():
            assert look_at_pipe(number) is not None
        child.kill()
        await child.communicate()

    asyncio.run(main())


@pytest.mark.parametrize("odd", [None, object(), subprocess, "x"])
def test_what_is_no_process_has_no_pipes(odd: Any) -> None:
    assert pipes_of(odd) == ()


def test_what_is_no_pipe() -> None:
    with open(os.devnull, "rb") as file:  # noqa: PTH123
        assert look_at_pipe(file.fileno()) is None
