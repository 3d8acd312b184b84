"""A host that closes every descriptor it does not know, as programs do that turn into daemons."""

from pathlib import Path

from tests.support.fake_daemon import FakeDaemon
from tests.support.guests import Guest

PROGRAM = """
import os, sys, time

def wait_for(name):
    print("ready for " + name, flush=True)
    while not os.path.exists(os.path.join(sys.argv[1], name)):
        time.sleep(0.01)

wait_for("close")
os.closerange(3, 256)
pipes = [os.pipe() for _ in range(8)]
for _, write in pipes:
    os.write(write, b"the host's")
wait_for("look")
for read, write in pipes:
    os.set_blocking(read, False)
    assert os.read(read, 1 << 16) == b"the host's"
    os.close(read)
    os.close(write)
"""


def test_the_host_s_new_files_are_left_alone_and_the_agent_comes_back(tmp_path: Path) -> None:
    with (
        FakeDaemon() as daemon,
        Guest(["-c", PROGRAM, str(tmp_path)], daemon.dashboard) as guest,
    ):
        (first,) = daemon.wait_for()
        assert daemon.snapshot()
        (tmp_path / "close").touch()
        guest.wait_for_line("ready for look")
        number = daemon.request([first])
        daemon.wait_for_replies([first], number, 60)
        assert number not in first.replies  # it hung up instead: its descriptors were gone
        daemon.wait_for()
        (reply,) = daemon.snapshot()
        assert reply["graph"]["nodes"]
        (tmp_path / "look").touch()
        assert guest.wait() == 0, guest.describe()
        assert guest.errors == ""
