"""The MCP server, asked by the official client: in memory, and once over real pipes."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from peepsd.asking.source import FileSource
from peepsd.mcp.guide import HELP
from peepsd.mcp.server import build
from tests.support.answers_db import write_story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_story(tmp_path_factory.mktemp("story") / "story.sqlite")


def text(result: Any) -> str:
    (content,) = result.content
    return str(content.text)


def call_all(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Results of tool calls, each made by the package's own client."""

    async def run() -> list[Any]:
        async with Client(server) as client:
            return [await client.call_tool(name, args) for name, args in calls]

    return anyio.run(run)


def test_every_tool_says_what_it_is_for(story: Path) -> None:
    async def run() -> Any:
        async with Client(build(FileSource(str(story)))) as client:
            return await client.list_tools()

    tools = {tool.name: tool for tool in anyio.run(run).tools}
    assert {
        "help",
        "jump",
        "connections",
        "why",
        "deadlocks",
        "wait_chains",
        "node",
        "diff",
        "sql",
    } <= set(tools)
    assert all(len(tool.description or "") > 30 for tool in tools.values())
    assert tools["why"].input_schema["properties"].keys() == {"subject", "snapshot_id"}


ANSWERS = {
    "why": (
        {},
        lambda a: (a["root"]["kind"], a["deadlock"]["status"]) == ("cycle", "confirmed"),
    ),
    "deadlocks": ({}, lambda a: [d["status"] for d in a["deadlocks"]] == ["confirmed"]),
    "check": ({"confirm_with": 1}, lambda a: a["findings"][0]["confirmed"]),
    "blockers": ({"limit": 3}, lambda a: len(a["blockers"]) == 3),
    "wait_chains": (
        {"node_id": "task:worker-33.z/a"},
        lambda a: [row[0] for row in a["rows"]][:3] == [0, 1, 2],
    ),
    "node": ({"subject": "charge"}, lambda a: a["stack"][-1].startswith("charge ")),
    "tree": ({"process": "billing"}, lambda a: len(a["processes"]) == 1),
    "diff": ({}, lambda a: (a["before"], a["after"]) == (1, 2)),
    "stuck": ({"snapshots": 2}, lambda a: a["snapshots"] == [2, 1]),
    "snapshots": ({}, lambda a: len(a["snapshots"]) == 2),
    "query": ({"name": "blocked-senders"}, lambda a: a["row_count"] == 1),
    "sql": ({"sql": "SELECT ? AS x", "params": [5]}, lambda a: a["rows"] == [[5]]),
}


@pytest.mark.parametrize(("name", "case"), ANSWERS.items(), ids=ANSWERS)
def test_tools_answer(name: str, case: Any, story: Path) -> None:
    args, is_right = case
    (result,) = call_all(build(FileSource(str(story))), (name, args))
    assert not result.is_error, text(result)
    assert is_right(json.loads(text(result)))


def test_help_and_the_list_of_queries(story: Path) -> None:
    told, listed = call_all(build(FileSource(str(story))), ("help", {}), ("query", {}))
    assert text(told) == HELP
    assert "channel-pressure" in text(listed)


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("why", {"subject": "nobody"}, "no process, task or other node 'nobody'"),
        ("jump", {}, "needs a running peepsd"),
        ("sql", {"sql": "DROP TABLE nodes"}, "SQLite says"),
        ("query", {"name": "nothing"}, "there is no query named 'nothing'"),
        ("blockers", {"limit": 0}, "limit must be from 1"),
    ],
)
def test_errors_explain_themselves(name: str, args: dict[str, Any], said: str, story: Path) -> None:
    (result,) = call_all(build(FileSource(str(story))), (name, args))
    assert result.is_error
    assert said in text(result)


def test_over_real_pipes(story: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "peepsd.cli", "mcp", "--db", str(story)]
    )
    (result,) = call_all(stdio_client(command), ("why", {"subject": "mail"}))
    assert json.loads(text(result))["root"]["kind"] == "blocked_loop"


def test_source_is_shown_around_frames_and_nothing_else(tmp_path: Path) -> None:
    from peepsd.asking.source_text import source_around, source_line

    code = tmp_path / "code.py"
    code.write_text("a = 1\nb = 2\nc = 3\n")
    secret = tmp_path / "secret.pem"
    secret.write_text("key\n" * 3)
    assert source_around(f"{code}:2", 1) == [(1, "a = 1"), (2, "b = 2"), (3, "c = 3")]
    assert source_line(f"{code}:3") == "c = 3"
    assert source_around(f"{secret}:2", 1) == []
    assert source_line(f"{code}:9") is None
    assert source_line("code.py") is None
