"""The daemon's HTTP door as it really stands: what curl may do, and what a web page may not."""

import shutil
import subprocess
from typing import Any

import httpx
import pytest

from ..support.daemon import Daemon
from ..support.peers import Peer, wait_for_connections


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_plain_curl_takes_a_snapshot(daemon: Daemon) -> None:
    with Peer(daemon.listen, "web", 1).serve():
        wait_for_connections(daemon.url, 1)
        done = subprocess.run(
            ["curl", "-sS", "-X", "POST", f"{daemon.url}/api/jump-now"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert '"responded":1' in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status"),
    [
        ("POST", "/api/jump-now", {"host": "evil.example"}, b"", 421),
        ("POST", "/api/jump-now", {"origin": "http://evil.example"}, b"", 403),
        ("POST", "/api/jump-now", {"origin": "null"}, b"", 403),
        ("POST", "/api/jump-now", {"sec-fetch-site": "cross-site"}, b"", 403),
        ("POST", "/api/jump-now", {"content-type": "text/plain"}, b"{}", 415),
        ("POST", "/api/sql", {"content-type": "text/plain"}, b'{"sql":"select 1"}', 415),
        ("GET", "/api/snapshots", {"sec-fetch-site": "cross-site"}, b"", 403),
        ("OPTIONS", "/api/sql", {}, b"", 405),
        ("DELETE", "/api/snapshots/1", {}, b"", 405),
        ("POST", "/api/sql", {"content-type": "application/json"}, b" " * 200_000, 413),
    ],
)
def test_what_a_web_page_may_not_do(
    daemon: Daemon, method: str, path: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    response = httpx.request(
        method, daemon.url + path, headers=headers, content=content or None, timeout=60
    )
    assert response.status_code == status, response.text
    assert response.json()["error"]
    assert not [h for h in response.headers if h.startswith("access-control-")]
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_token_is_asked_for_everywhere_but_the_page(tmp_path: Any) -> None:
    token = "a token of sixteen letters or more"
    with Daemon(tmp_path, "--token", token) as daemon:
        assert daemon.get("/api/snapshots").status_code == 401
        assert daemon.post("/api/jump-now").status_code == 401
        assert daemon.get("/", headers={"accept": "text/html"}).status_code == 200
        bearer = {"authorization": f"Bearer {token}"}
        assert daemon.get("/api/snapshots", headers=bearer).status_code == 200
        assert (
            daemon.get("/api/snapshots", headers={"authorization": "Bearer x"}).status_code == 401
        )


def test_stopping_is_graceful(daemon: Daemon) -> None:
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.log()


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="no sqlite3 shell")
def test_the_database_can_be_queried_meanwhile(daemon: Daemon) -> None:
    with Peer(daemon.listen, "web", 1).serve():
        wait_for_connections(daemon.url, 1)
        daemon.jump()
        answer = daemon.post("/api/sql", {"sql": "select id, kind from nodes"}).json()
        shell = subprocess.run(
            ["sqlite3", str(daemon.db), "select process, status from snapshot_processes"],
            capture_output=True,
            text=True,
        )
    assert answer["rows"] == [["task:web/0", "task"]]
    assert shell.stdout == "web|responded\n"
