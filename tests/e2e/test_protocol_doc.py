"""The agent printed in docs/protocol.md takes part in a snapshot."""

import re
import subprocess
import sys
from pathlib import Path

from ..support.daemon import Daemon, clean_environment
from ..support.peers import wait_for_connections

DOC = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_documented_agent_works(daemon: Daemon) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    env = clean_environment() | {"PEEPS_DASHBOARD": daemon.dashboard}
    # Without -S the installed agent would start in it as well, and be a second connection.
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", program], env=env)
    try:
        wait_for_connections(daemon.url, 1)
        summary = daemon.jump()
    finally:
        process.kill()
        process.wait()
    assert summary["responded"] == 1
    assert summary["processes"][0]["proc_key"] == f"fifty-lines-{process.pid}"
    assert summary["processes"][0]["nodes"] == 1
