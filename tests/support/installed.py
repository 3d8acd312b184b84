"""peeps as a user has it: the built wheel, installed in a virtual environment of its own.

The third-party packages are borrowed from the environment that runs the tests, so that nothing
is downloaded.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "dist", "build", "*.sqlite*"
)


def build_wheel(directory: Path) -> Path:
    """Build the wheel from a copy of the source tree."""
    source = directory / "source"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    out = directory / "dist"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = out.glob("*.whl")
    return wheel


def install(directory: Path, wheel: Path, *, borrow: bool = True) -> Path:
    """A new environment with the wheel in it; returns its bin directory. With `borrow` the
    packages of the `daemon` extra can be imported, too."""
    home = directory / ("env" if borrow else "bare-env")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet",
         "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    if borrow:
        (site,) = home.glob("lib/python*/site-packages")
        # A plain path in a .pth file is searched, but its own .pth files are not run.
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"
