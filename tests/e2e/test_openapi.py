"""The description of the HTTP API, held against a live daemon."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.daemon import Daemon
from tests.support.peers import Peer, wait_for_connections

CONFIG = """
# That a text is SQL, no schema can say: a statement that SQLite refuses is no lie of ours.
[[operations]]
include-path = "/api/sql"
checks.positive_data_acceptance.enabled = false
"""


def deadlocked(process: str, snapshot_id: int) -> dict[str, Any]:
    """A graph with something for every answer to tell."""

    def node(kind: str, key: str, **attrs: Any) -> dict[str, Any]:
        return {"id": f"{kind}:{process}/{key}", "kind": kind, "label": key, "attrs": attrs}

    def needs(src: str, dst: str) -> dict[str, Any]:
        ids = (f"{src.replace(':', f':{process}/')}", f"{dst.replace(':', f':{process}/')}")
        return {"src": ids[0], "dst": ids[1], "kind": "needs", "attrs_json": "{}"}

    place = {"ctx.location": "/app.py:3", "ctx.file": "/app.py", "ctx.line": 3}
    return {
        "process_name": process,
        "proc_key": process,
        "nodes": [
            node("task", "a", state="waiting", stack=["f (/app.py:3)"], **place),
            node("task", "b", state="waiting"),
            node("task", f"new-{snapshot_id}", state="blocked"),
            node("lock", "l", locked=True),
            node("queue", "q", maxsize=1, size=1),
            node("task", "c", state="waiting"),
        ],
        "edges": [
            needs("task:a", "lock:l"), needs("lock:l", "task:b"), needs("task:b", "task:a"),
            needs("task:c", "queue:q"), needs("task:c", "task:elsewhere"),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with three processes and two snapshots."""
    with Daemon(tmp_path_factory.mktemp("openapi")) as daemon:
        peers = [Peer(daemon.listen, name, pid) for name, pid in (("web", 1), ("db", 2))]
        for peer in peers:
            peer.hello()
            peer.serve(lambda n, peer=peer: peer.reply_message(n, deadlocked(peer.process, n)))
        wait_for_connections(daemon.url, 2)
        for _ in range(2):
            assert daemon.jump()["responded"] == 2
        yield daemon
        for peer in peers:
            peer.close()


@pytest.fixture(scope="module")
def description(daemon: Daemon) -> dict[str, Any]:
    response = daemon.get("/api/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def test_every_route_is_described_and_nothing_else(
    daemon: Daemon, description: dict[str, Any]
) -> None:
    served = set(daemon.get("/").json()["routes"]) | {"GET /"}
    described = {
        f"{method.upper()} {path}"
        for path, methods in description["paths"].items()
        for method in methods
    }
    assert served == described


ANSWERS = (
    "why", "why?subject=web-1%2Fc", "why?subject=web", "why?confirm_with=1", "deadlocks",
    "deadlocks?confirm_with=1", "blockers", "check", "check?confirm_with=1&keep=true", "tree",
    "waits", "node?subject=lock:web/l", "diff", "diff?with=1", "stuck?count=2",
)  # fmt: skip


@pytest.mark.parametrize("question", ANSWERS)
def test_answers_have_the_described_shape(
    daemon: Daemon, description: dict[str, Any], question: str
) -> None:
    answer = daemon.get(f"/api/snapshots/2/{question}")
    assert answer.status_code == 200, answer.text
    path = f"/api/snapshots/{{snapshot_id}}/{question.partition('?')[0]}"
    response = description["paths"][path]["get"]["responses"]["200"]
    schema = response["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), {**schema, "components": description["components"]})


def test_schemathesis_finds_no_lie(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{daemon.url}/api/openapi.json",
        "--max-examples", "15", "--seed", "1", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=420)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Tested: 20" in done.stdout, done.stdout[-2000:]
    assert daemon.process.poll() is None
