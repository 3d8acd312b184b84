"""The page, in a real browser where there is one."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from ..support.daemon import Daemon
from ..support.peers import Peer, wait_for_connections
from ..support.waiting import wait_until

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
    assert "Deadlock, not yet confirmed" in dom, "there is no snapshot before"
    assert "shop-1" in dom
    assert "<title>peeps #1</title>" in dom
    assert "<img" not in dom
    assert "&lt;img src=x" in dom


@contextmanager
def browser(url: str, profile: Path) -> Iterator[str]:
    """A browser at that address; gives where its page takes orders."""
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    with subprocess.Popen(
        [BROWSER, *flags, f"--user-data-dir={profile}", url], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            port = next(int(m[1]) for x in lines if (m := re.search(r"ws://[^:]+:(\d+)/", x)))
            pages: list[str] = []

            def is_open() -> bool:
                tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
                pages[:] = [t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page"]
                return bool(pages)

            wait_until(is_open)
            yield pages[0]
        finally:
            process.kill()


async def evaluate(socket: WebSocketConnection, expression: str) -> Any:
    """What an expression is in the page; None as long as there is no page to ask."""
    message = {"id": 1, "method": "Runtime.evaluate", "params": {"expression": expression}}
    await socket.send_message(json.dumps(message))
    answer = json.loads(await socket.get_message())
    return answer.get("result", {}).get("result", {}).get("value")


async def until(socket: WebSocketConnection, expression: str) -> None:
    """Wait for it to be true in the page."""
    while not await evaluate(socket, expression):  # noqa: ASYNC110
        await trio.sleep(0.05)


@needs_browser
async def test_the_page_asks_for_the_token_and_keeps_it_for_the_tab(tmp_path: Path) -> None:
    token = "0123456789abcdef" * 4
    said = "document.getElementById('error').textContent"
    is_asked = "!document.getElementById('ask-token').hidden"
    with (
        Daemon(tmp_path, env={"PEEPS_TOKEN": token}) as daemon,
        browser(daemon.url + "/", tmp_path / "profile") as address,
        trio.fail_after(120),
    ):
        async with open_websocket_url(address) as page:

            async def give(text: str) -> None:
                await evaluate(
                    page,
                    f"document.getElementById('token').value = {json.dumps(text)};"
                    "document.querySelector('#ask-token button').click()",
                )

            await until(page, f"{is_asked} && {said} === 'this daemon asks for its token'")
            for wrong in ("wrong", "falsch\N{EURO SIGN}"):
                await evaluate(page, f"{said} = ''")
                await give(wrong)
                await until(page, f'{is_asked} && {said} === "this token is not the daemon\'s"')
            await give(token)
            await until(page, f"!({is_asked}) && {said} === ''")
            await until(page, "document.getElementById('status').textContent.includes('connected')")
            assert await evaluate(page, "location.href") == daemon.url + "/"
            assert await evaluate(page, "localStorage.length + document.cookie.length") == 0


@needs_browser
def test_the_page_confirms_by_the_snapshot_before(daemon: Daemon, tmp_path: Path) -> None:
    with Peer(daemon.listen, "shop", 1).serve(stuck):
        wait_for_connections(daemon.url, 1)
        daemon.jump()
        daemon.jump()
        dom = shown(daemon.url + "/#snapshot=2", tmp_path / "profile")
    assert "<h3>Deadlock</h3>" in dom


@needs_browser
def test_the_address_of_a_snapshot_that_is_gone_says_so(daemon: Daemon, tmp_path: Path) -> None:
    dom = shown(daemon.url + "/#snapshot=4711", tmp_path / "profile")
    assert "there is no snapshot 4711" in dom
