"""Looking at threads that never hold still must not crash, whatever they are doing."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import thread_storm
from tests.support.guests import AGENT, VERSIONS, find_python


def survive(version: str, seconds: float) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    said = subprocess.run(
        [python, "-X", "faulthandler", str(Path(thread_storm.__file__)), str(seconds)],
        env=os.environ | {"PYTHONPATH": str(AGENT)},
        capture_output=True,
        text=True,
        timeout=seconds * 4 + 120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert int(said.stdout.split()[1]) > 0


@pytest.mark.parametrize("version", VERSIONS)
def test_storm(version: str) -> None:
    survive(version, 3.0)


@pytest.mark.soak
@pytest.mark.parametrize("version", VERSIONS)
def test_long_storm(version: str) -> None:
    survive(version, 120.0)
