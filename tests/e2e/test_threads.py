"""Real threads, really stuck, and healthy ones that look alike, in every Python at hand."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import thread_scenes
from tests.support.guests import AGENT, VERSIONS, find_python

SCENES = Path(thread_scenes.__file__)
STUCK = [scene.__name__ for scene in thread_scenes.STUCK]
BY_VALUE_STACK_ONLY = {
    "held_by_property",
    "held_by_exit_stack",
    "held_by_contextmanager",
    "held_by_contextmanager_finally",
    "time_limits",
}
"""What cannot be told from names alone: a manager that a call has returned, values of arguments."""


def play(mode: str, scene: str, version: str, **env: str) -> dict[str, list[str]]:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    said = subprocess.run(
        [python, str(SCENES), mode, scene],
        env=os.environ | {"PYTHONPATH": str(AGENT)} | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    found: dict[str, list[str]] = json.loads(said.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("scene", STUCK)
@pytest.mark.parametrize("version", VERSIONS)
def test_stuck(version: str, scene: str) -> None:
    found = play("stuck", scene, version)
    assert set(found["expected"]) <= set(found["seen"])


@pytest.mark.parametrize("scene", [scene for scene in STUCK if scene not in BY_VALUE_STACK_ONLY])
def test_stuck_without_reading_value_stacks(scene: str) -> None:
    """As on versions whose frames were not verified. (Below 3.13 only globals can be read then.)"""
    found = play("stuck", scene, "3.13", SCENE_WITHOUT_STACKS="1")
    assert set(found["expected"]) <= set(found["seen"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wait_without_limit_is_not_said_to_have_one(version: str) -> None:
    seen = play("stuck", "time_limits", version)["seen"]
    assert "nothing > lock taken" in seen
    assert not [line for line in seen if line.startswith(("nothing within", "without within"))]


@pytest.mark.parametrize("version", VERSIONS)
def test_operands_that_nobody_owns_crash_nobody(version: str) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    program = SCENES.with_name("thread_operands.py")
    said = subprocess.run(
        [python, str(program), "100"],
        env=os.environ | {"PYTHONPATH": str(AGENT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (said.returncode, said.stdout) == (0, "survived\n"), said.stderr


FORBIDDEN: dict[str, Any] = {
    # Taking turns, a thread may be seen to wait for the other, never the other way round too.
    "compute": lambda edges: edges,
    "taking_turns": lambda edges: {e for e in edges if e.endswith(("lock a > lock b",))},
    "uncontended": lambda edges: edges,
    "rebound_lock": lambda edges: {e for e in edges if e.endswith("> holder")},
    "acquire_that_failed": lambda edges: {e for e in edges if e.endswith("> tried")},
    "acquire_inside_try": lambda edges: {e for e in edges if e.endswith("> taker")},
    "idle_pool": lambda edges: {e for e in edges if "executor" in e or e.startswith("pool_1")},
    "condition_users": lambda edges: {e for e in edges if e.startswith("condition")},
    "popen_as_manager": lambda edges: {e for e in edges if e.endswith("> parent")},
}


@pytest.mark.parametrize("scene", [scene.__name__ for scene in thread_scenes.HEALTHY])
@pytest.mark.parametrize("version", VERSIONS)
def test_healthy(version: str, scene: str) -> None:
    seen = play("healthy", scene, version)["seen"]
    assert FORBIDDEN[scene]({line for line in seen if " > " in line}) == set()
    assert not [line for line in seen if line.endswith("is native code")]
