"""A stranger's page, a rebound name and a hasty client at the door of a real daemon."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.daemon import Daemon
from tests.support.peers import Peer, wait_for_connections


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("guarded")) as daemon:
        yield daemon


def ask(daemon: Daemon, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, daemon.url + path, timeout=60, **options)


def test_curl_needs_nothing_but_the_address(daemon: Daemon) -> None:
    answer = ask(daemon, "POST", "/api/jump-now")
    assert answer.status_code == 503  # nobody is connected
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 421),
        ("GET", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("DELETE", {}, 405),
        ("OPTIONS", {"Origin": "http://evil.example"}, 405),
    ],
)
def test_strangers_are_refused(
    daemon: Daemon, method: str, headers: dict[str, str], status: int
) -> None:
    answer = ask(daemon, method, "/api/jump-now", headers=headers)
    assert answer.status_code == status
    assert len(answer.json()["error"]) > 20
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_sql_of_a_form_is_not_run_and_sql_of_a_program_is(daemon: Daemon) -> None:
    text = {"Content-Type": "text/plain"}
    assert ask(daemon, "POST", "/api/sql", content='{"sql":"x"}', headers=text).status_code == 415
    answer = ask(daemon, "POST", "/api/sql", json={"sql": "select * from main.nodes"})
    assert answer.status_code == 404  # no snapshot yet
    assert "jump-now" in answer.json()["hint"]


def test_a_hasty_websocket_client_does_not_end_the_daemon(daemon: Daemon) -> None:
    host, _, port = daemon.url.removeprefix("http://").rpartition(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(
                f"GET /introspect HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\ntoo early".encode()
            )
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    assert daemon.process.poll() is None
    assert ask(daemon, "GET", "/health").status_code == 200


def test_a_snapshot_is_queried_and_nothing_beside_it(daemon: Daemon) -> None:
    node = {"id": "task:1", "kind": "task", "label": "t", "attrs_json": "{}"}
    graph = {"process_name": "shop", "proc_key": "shop-1", "nodes": [node], "edges": []}
    with Peer(daemon.listen, "shop", 1) as peer:
        peer.hello()
        peer.serve(lambda n: peer.reply_message(n, graph))
        wait_for_connections(daemon.url, 1)
        first = ask(daemon, "POST", "/api/jump-now").json()["snapshot_id"]
        second = ask(daemon, "POST", "/api/jump-now").json()["snapshot_id"]
    for sql, rows in [
        ("select snapshot_id, id from nodes", [[second, "task:1"]]),
        ("select snapshot_id, id from prev_nodes", [[first, "task:1"]]),
        ("select count(*) from wait_chains", [[0]]),
    ]:
        answer = ask(daemon, "POST", "/api/sql", json={"sql": sql})
        assert json.loads(answer.content)["rows"] == rows
    answer = ask(daemon, "POST", "/api/sql", json={"sql": "select count(*) from main.nodes"})
    assert answer.status_code == 400
    assert "plain name" in answer.json()["error"]


def test_what_was_refused_is_counted(daemon: Daemon) -> None:
    def refused() -> int:
        text = ask(daemon, "GET", "/metrics").text
        return int(text.partition("\npeepsd_http_refused_total ")[2].split()[0])

    before = refused()
    ask(daemon, "DELETE", "/health")
    assert refused() == before + 1


def test_a_token_is_asked_of_everybody(tmp_path: Path) -> None:
    token = "0123456789abcdef" * 4
    with Daemon(tmp_path, env={"PEEPS_TOKEN": token}) as daemon:
        refused = ask(daemon, "GET", "/api/snapshots")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Bearer realm="peepsd"'
        given = {"Authorization": f"Bearer {token}"}
        assert ask(daemon, "GET", "/api/snapshots", headers=given).status_code == 200
        page = ask(daemon, "GET", "/", headers={"Accept": "text/html"})
        assert page.status_code == 200  # it asks for the token
        assert "script-src 'self'" in page.headers["content-security-policy"]
