"""The page, in a real browser where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ..support.daemon import Daemon
from ..support.peers import Peer, wait_for_connections

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DASHBOARD = Path(__file__).parents[2] / "daemon" / "peepsd" / "dashboard"
EVIL = "<img src=x onerror=document.title='pwned'>"


def stuck(sid: int) -> dict[str, object]:
    tasks = [
        {"id": f"task:a/{n}", "kind": "task", "attrs": {"name": f"{EVIL}{n}", "state": "waiting"}}
        for n in (1, 2)
    ]
    locks = [{"id": f"lock:a/{n}", "kind": "lock", "label": f"lock-{n}"} for n in (1, 2)]
    ways = [("task:a/1", "lock:a/1"), ("lock:a/1", "task:a/2")]
    ways += [("task:a/2", "lock:a/2"), ("lock:a/2", "task:a/1")]
    edges = [{"src": src, "dst": dst, "kind": "needs"} for src, dst in ways]
    return {"nodes": tasks + locks, "edges": edges}


def test_a_browser_gets_the_page_and_a_program_the_routes(daemon: Daemon) -> None:
    page = daemon.get("/", headers={"accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert "POST /api/jump-now" in daemon.get("/").json()["routes"]
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert daemon.get(path).status_code == 200, path


def test_names_reach_the_page_as_text_only() -> None:
    script = (DASHBOARD / "app.js").read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in script


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")


def shown(url: str, profile: Path) -> str:
    """The page's DOM after eight seconds of its time."""
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", f"--user-data-dir={profile}",
         "--virtual-time-budget=8000", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert "<title>" in done.stdout, done.stderr
    return done.stdout


@needs_browser
def test_the_page_shows_what_is_wrong(daemon: Daemon, tmp_path: Path) -> None:
    with Peer(daemon.listen, "shop", 1).serve(stuck):
        wait_for_connections(daemon.url, 1)
        daemon.jump()
        dom = shown(daemon.url + "/", tmp_path / "profile")
    assert "Deadlock" in dom
    assert "shop-1" in dom
    assert "<title>peeps #1</title>" in dom
    assert "<img" not in dom
    assert "&lt;img src=x" in dom


@needs_browser
def test_the_address_of_a_snapshot_that_is_gone_says_so(daemon: Daemon, tmp_path: Path) -> None:
    dom = shown(daemon.url + "/#snapshot=4711", tmp_path / "profile")
    assert "there is no snapshot 4711" in dom
