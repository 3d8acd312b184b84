"""The service's files are what the service manager and peepsd understand."""

import shutil
import subprocess
from pathlib import Path

import pytest

from peepsd import config

SYSTEMD = Path(__file__).parents[2] / "systemd"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_the_unit_is_clean(tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", str(SYSTEMD / "peepsd.service")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_environment_file_names_only_settings_with_their_defaults() -> None:
    known = {s.variable: s for s in config.SETTINGS}
    lines = (SYSTEMD / "peepsd.env").read_text().splitlines()
    examples = [line[1:] for line in lines if line.startswith("#PEEPS_")]
    assert len(examples) > 3
    for example in examples:
        name, _, value = example.partition("=")
        assert value == known[name].default
