"""The agent inside this process, against a daemon of plain sockets."""

import errno
import threading
import time

import pytest

import peeps
from peeps import _api, unpatched
from peeps.agent_thread import in_words
from peeps.reconnect import Backoff
from peeps.wire.errors import FrameLengthError
from tests.support.raw_daemon import RawDaemon
from tests.support.waiting import wait_until


@pytest.fixture
def daemon():
    with RawDaemon() as daemon:
        yield daemon
    peeps.stop()


def test_it_says_hello_answers_and_ends(daemon, monkeypatch):
    monkeypatch.setenv("PEEPS_TOKEN", "secret")
    assert peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    assert peer.hello["process"] == "orders"
    assert peer.hello["token"] == "secret"
    assert peer.hello["agent"] == f"peeps-python/{peeps.__version__}"
    before = time.time_ns()
    reply = peer.ask(42)
    assert reply["snapshot_id"] == 42
    assert reply["process"] == "orders"
    assert before <= reply["captured_at_ns"] <= time.time_ns()
    assert reply["capture_ns"] > 0
    assert "process" in {node["kind"] for node in reply["graph"]["nodes"]}
    assert peeps.status()["state"] == "connected"
    wait_until(lambda: peeps.status()["snapshots_sent"] == 1)
    peeps.stop()
    assert peeps.status() == {"state": "off", "reason": "peeps.stop() was called"}
    with pytest.raises(EOFError):
        peer.receive()


def test_what_the_application_registers_is_in_the_reply_until_removed(daemon):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    lock = threading.Lock()
    peeps.name(lock, "ledger")
    with peeps.node("request", "GET /orders", attempt=2) as node, peeps.waiting_for(node):
        reply = peer.ask(1)
    (row,) = [n for n in reply["graph"]["nodes"] if n["kind"] == "request"]
    assert row["label"] == "GET /orders"
    assert row["attrs"] == {"registered": True, "attempt": 2}
    (edge,) = [e for e in reply["graph"]["edges"] if e["dst"] == row["id"]]
    assert edge["kind"] == "needs"
    assert edge["src"].startswith("thread:")
    assert "request" not in {n["kind"] for n in peer.ask(2)["graph"]["nodes"]}


def test_it_comes_back_when_the_daemon_does(daemon):
    peeps.start("orders", dashboard=daemon.address)
    for snapshot_id in range(3):
        peer = daemon.accept()
        assert peer.ask(snapshot_id)["snapshot_id"] == snapshot_id
        peer.close()


def test_a_daemon_that_talks_nonsense_is_left_and_tried_again(daemon):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises((EOFError, ConnectionResetError)):
        peer.receive()
    assert daemon.accept().ask(1)["snapshot_id"] == 1


def test_unknown_messages_are_passed_over(daemon):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    peer.send({"type": "from_the_future"})
    peer.send({"type": "snapshot_request", "snapshot_id": "no number"})
    assert peer.ask(5)["snapshot_id"] == 5


def test_several_requests_at_once_are_answered_in_order(daemon):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    for snapshot_id in range(5):
        peer.send({"type": "snapshot_request", "snapshot_id": snapshot_id, "timeout_ms": 9000})
    assert [peer.receive()["snapshot_id"] for _ in range(5)] == list(range(5))


def test_the_cut_waits_for_the_instant_it_is_asked_for(daemon):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    at = time.time_ns() + 300_000_000
    assert peer.ask(1, capture_at_ns=at)["captured_at_ns"] >= at
    long_ago = peer.ask(2, capture_at_ns=1)
    assert long_ago["captured_at_ns"] > at


def test_an_instant_beyond_the_timeout_is_not_waited_for(daemon):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    far = time.time_ns() + 3600 * 10**9
    assert peer.ask(1, capture_at_ns=far)["captured_at_ns"] < far


def test_time_that_is_up_cuts_the_graph_off_and_says_so(daemon):
    peeps.start("orders", dashboard=daemon.address)
    reply = daemon.accept().ask(1, timeout_ms=0)
    assert reply["graph"] is not None
    assert reply["error"].startswith("truncated: ")
    assert reply["graph"]["truncated"]


def test_a_frame_limit_is_kept(daemon, monkeypatch):
    monkeypatch.setenv("PEEPS_MAX_FRAME_BYTES", "20000")
    peeps.start("orders", dashboard=daemon.address)
    nodes = [peeps.node("thing", "x" * 100) for _ in range(1000)]
    reply = daemon.accept().ask(1)
    assert reply["graph"]["truncated"]["nodes"] > 0
    assert reply["error"].startswith("truncated: ")
    assert nodes


def test_the_host_does_not_see_its_thread(daemon):
    before = threading.active_count(), threading.enumerate()
    peeps.start("orders", dashboard=daemon.address)
    daemon.accept().ask(1)
    assert (threading.active_count(), threading.enumerate()) == before


def test_a_failing_collector_costs_itself_only(daemon):
    peeps.start("orders", dashboard=daemon.address)

    class Broken:
        name = "broken"

        def applies(self):
            return True

        def prepare(self, cut):
            pass

        def capture(self, cut):
            raise ValueError("a value of the host")

        def build(self, captured, graph, seen):
            pass

    _api.running_agent()._collectors._loaded["broken"] = Broken()
    _api.running_agent()._collectors._table += (("sys", "broken"),)
    reply = daemon.accept().ask(1)
    assert "broken: capture: ValueError at capture:" in reply["error"]
    assert "a value of the host" not in str(reply)
    assert reply["graph"]["nodes"]


def test_a_collector_that_cannot_be_loaded_is_told_in_the_reply(daemon):
    """As in a host that has changed its root or user, and cannot read the library any more."""
    peeps.start("orders", dashboard=daemon.address)
    _api.running_agent()._collectors._table += (("sys", "not_there"),)
    reply = daemon.accept().ask(1)
    assert "not_there: ModuleNotFoundError" in reply["error"]
    assert reply["graph"]["nodes"]


def test_a_host_that_may_start_no_thread_is_left_in_peace(daemon, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(unpatched, "start_new_thread", refuse)
        assert not peeps.start("orders", dashboard=daemon.address)
    assert "RuntimeError" in peeps.status()["reason"]
    assert peeps.start("orders", dashboard=daemon.address)
    agent = _api.running_agent()
    assert agent.pause(60)
    with monkeypatch.context() as patched:
        patched.setattr(unpatched, "start_new_thread", refuse)
        with pytest.raises(RuntimeError):
            agent.start()
    assert not agent.is_running
    agent.start()
    assert daemon.accept().ask(1)["snapshot_id"] == 1


def test_running_out_of_memory_ends_the_connection_not_the_agent(daemon, monkeypatch):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    agent = _api.running_agent()

    def fail(data):
        raise MemoryError

    monkeypatch.setattr(agent._session, "receive", fail)
    peer.send({"type": "snapshot_request", "snapshot_id": 1, "timeout_ms": 9000})
    with pytest.raises((EOFError, ConnectionResetError)):
        peer.receive()
    assert daemon.accept().ask(2)["snapshot_id"] == 2


def test_starting_twice_is_once_and_can_rename(daemon):
    assert peeps.start("one", dashboard=daemon.address)
    assert peeps.start("two")
    peer = daemon.accept()
    while peer.hello["process"] != "two":  # it may have said hello by its first name
        peer = daemon.accept()
    assert peer.ask(1)["process"] == "two"
    assert peeps.start("two")
    assert daemon.nobody_comes(0.1)


def test_another_name_is_said_in_another_greeting(daemon):
    """The start-up line names a process before its program does, and the daemon goes by that."""
    peeps.start("python", dashboard=daemon.address)
    first = daemon.accept()
    assert first.ask(1)["process"] == first.hello["process"] == "python"
    peeps.start("orders")
    second = daemon.accept()
    assert second.ask(2)["process"] == second.hello["process"] == "orders"
    with pytest.raises((EOFError, ConnectionResetError)):
        first.receive()


@pytest.mark.parametrize("address", ["nonsense:port", "http://x"])
def test_a_bad_address_leaves_it_off_with_a_reason(address):
    assert not peeps.start("orders", dashboard=address)
    assert peeps.status()["state"] == "off"
    assert "127.0.0.1:9119" in peeps.status()["reason"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FrameLengthError(0, 9), "empty frame; a frame holds 1 to 9 bytes"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), None),
        (TimeoutError("timed out"), "timed out"),
        (OSError(), "OSError()"),
    ],
)
def test_what_ended_a_connection_is_told_in_a_sentence(error, words):
    assert in_words(error) == (words or "Connection reset by peer")


def test_a_daemon_that_hangs_up_at_once_may_want_another_token(daemon, monkeypatch):
    monkeypatch.setattr(Backoff, "delay", lambda self, chance: 3600.0)
    peeps.start("orders", dashboard=daemon.address)
    daemon.accept().close()
    wait_until(lambda: peeps.status()["reason"])
    assert peeps.status()["reason"] == (
        "the daemon closed the connection at once: is PEEPS_TOKEN the same here and there?"
    )


def test_a_daemon_that_ends_is_not_suspected(daemon, monkeypatch):
    monkeypatch.setattr(Backoff, "delay", lambda self, chance: 3600.0)
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    peer.ask(1)
    peer.close()
    wait_until(lambda: peeps.status()["reason"])
    assert peeps.status()["reason"] == "the daemon closed the connection"


def test_nobody_there_is_a_reason_and_no_more():
    with RawDaemon() as gone:
        address = gone.address
    assert peeps.start("orders", dashboard=address)
    try:
        wait_until(lambda: "cannot connect" in (peeps.status()["reason"] or ""))
        assert peeps.status()["state"] == "connecting"
    finally:
        peeps.stop()


def test_stopping_while_a_snapshot_is_under_way(daemon):
    peeps.start("orders", dashboard=daemon.address)
    peer = daemon.accept()
    peer.send(
        {
            "type": "snapshot_request",
            "snapshot_id": 1,
            "timeout_ms": 60_000,
            "capture_at_ns": time.time_ns() + 200_000_000,
        }
    )
    peeps.stop()
    assert peeps.status()["state"] == "off"
    assert peeps.start("orders", dashboard=daemon.address)
    assert daemon.accept().ask(2)["snapshot_id"] == 2
