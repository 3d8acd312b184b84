"""`peeps record`, `replay`, `inspect` and `watch` as people run them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from peepsd.cli.feed_commands import Duration, feed_url
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import Record, read_file

from ..support.feed_server import live_feed
from ..support.recordings import write_recording

PEEPS = [sys.executable, "-W", "error", "-c", "from peepsd.cli import peeps; peeps()"]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PEEPS_")}


def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PEEPS, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@contextmanager
def replaying(path: Path, *flags: str) -> Iterator[str]:
    """`peeps replay` of a file; gives the URL of its /introspect."""
    process = subprocess.Popen(
        [*PEEPS, "replay", str(path), "--listen", "127.0.0.1:0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def payloads(path: Path) -> list[pb.ServerMessage]:
    items = list(read_file(path))
    return [pb.ServerMessage.FromString(i.message) for i in items if isinstance(i, Record)]


def test_a_replay_is_recorded_inspected_and_watched(tmp_path: Path) -> None:
    original, copy = tmp_path / "original.mock", tmp_path / "copy.mock"
    written = write_recording(original, states=12)
    with replaying(original) as url:
        done = run("record", copy, "--url", url, "--for", "4s")
        assert "messages" in done.stdout
        watched = run("--url", url, "watch", "--once").stdout
    assert "peer1" in watched
    assert "go-libp2p 2 on test, me" in " ".join(watched.split())
    recorded = payloads(copy)
    assert [m for m in recorded if m.HasField("state")] == [
        m for m in written if m.HasField("state")
    ]
    events = [m for m in written if m.HasField("event")]
    got = [m for m in recorded if m.HasField("event")]
    assert got == events[-len(got) :]
    assert len(got) >= len(events) - 4  # those before the recorder had asked
    report = run("inspect", copy).stdout
    assert "connections   2 different, 2 at first, 2 at last, 24 rows" in report


async def test_record_watch_and_settings_on_a_live_feed(tmp_path: Path) -> None:
    out = tmp_path / "live.mock"
    async with live_feed() as server:
        server.connect("svc", 10)
        address = f"127.0.0.1:{server.port}"
        done = await trio.to_thread.run_sync(
            lambda: run("record", out, "--url", address, "--for", "1500ms", "--interval", "500ms")
        )
        assert f"{out}: " in done.stdout
        watched = await trio.to_thread.run_sync(lambda: run("watch", "--url", address, "--once"))
    assert "svc-10" in watched.stdout
    kinds = [message.WhichOneof("payload") for message in payloads(out)]
    assert kinds[:2] == ["runtime", "state"]
    assert kinds.count("state") >= 2
    assert run("inspect", out, "--json").stdout.startswith("{")


def test_watch_writes_a_line_for_each_event_where_there_is_no_terminal(tmp_path: Path) -> None:
    write_recording(tmp_path / "r.mock", states=4)
    with replaying(tmp_path / "r.mock", "--speed", "4") as url:
        done = run("watch", "--url", url, "--for", "4s")
    lines = done.stdout.splitlines()
    assert lines
    assert all(re.match(r"\d\d:\d\d:\d\d \w+ ", line) for line in lines), lines
    assert "connected to ws://" in done.stderr


def test_record_keeps_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "precious.mock"
    out.write_bytes(b"precious")
    done = run("record", out, "--url", "127.0.0.1:1", status=2)
    assert "exists" in done.stderr
    assert "--force" in done.stderr
    assert out.read_bytes() == b"precious"


def test_record_writes_over_nothing_before_it_has_something_to_write(tmp_path: Path) -> None:
    out = tmp_path / "precious.mock"
    out.write_bytes(b"precious")
    run("record", out, "--force", "--url", "127.0.0.1:1", status=3)
    assert out.read_bytes() == b"precious"


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    write_recording(tmp_path / "r.mock")
    with replaying(tmp_path / "r.mock") as url:
        done = run("record", "/dev/full", "--force", "--url", url, status=3)
    assert "cannot write /dev/full: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["record", "watch"])
def test_no_daemon_is_one_clear_line_and_leaves_nothing(command: str, tmp_path: Path) -> None:
    arguments = [tmp_path / "out.mock"] if command == "record" else []
    done = run(command, *arguments, "--url", "127.0.0.1:1", status=3)
    assert done.stderr.startswith("peeps: ws://127.0.0.1:1/introspect: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_inspect_says_what_is_damaged_and_ends_with_1(tmp_path: Path) -> None:
    path = tmp_path / "torn.mock"
    write_recording(path)
    path.write_bytes(path.read_bytes()[:-20])
    done = run("inspect", path, status=1)
    assert "unreadable" in done.stdout
    found = json.loads(run("inspect", path, "--json", status=1).stdout)
    assert found["records"]["state"] == 4
    assert len(found["damage"]) == 1


@pytest.mark.parametrize("content", [b"", b"\x01\x00\x00\x00", b"not a recording at all"])
def test_inspect_and_replay_of_no_recording(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "none.mock"
    path.write_bytes(content)
    run("inspect", path, status=1)
    done = run("replay", path, "--listen", "127.0.0.1:0", status=3)
    assert "no State" in done.stderr


@pytest.mark.parametrize(
    ("flags", "word", "status"),
    [
        (["--listen", "0.0.0.0:0"], "other machines", 2),
        (["--listen", "nonsense"], "host:port", 2),
        (["--speed", "0"], "--speed", 2),
        (["--speed", "nan"], "--speed", 2),
    ],
)
def test_wrong_flags_of_replay(flags: list[str], word: str, status: int, tmp_path: Path) -> None:
    write_recording(tmp_path / "r.mock")
    arguments = [*PEEPS, "replay", str(tmp_path / "r.mock"), *flags]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, env=environment())
    assert done.returncode == status, done.stderr
    assert word in done.stderr


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:9130", "ws://127.0.0.1:9130/introspect"),
        ("https://peeps.example/", "wss://peeps.example/introspect"),
        ("127.0.0.1:9130", "ws://127.0.0.1:9130/introspect"),
        ("ws://h:1/observer?protocol=signal", "ws://h:1/observer?protocol=signal"),
        ("ws://[::1", "ws://[::1"),  # no address: whoever connects says so
    ],
)
def test_any_address_that_people_know_will_do(text: str, url: str) -> None:
    assert feed_url(text) == url


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60.0), ("5m", 300.0), ("1.5h", 5400.0), ("500ms", 0.5), ("2", 2.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == pytest.approx(seconds)
