"""`peeps mcp`: the answers of peeps as tools for a language model, on stdio.

Decides names, arguments and descriptions of the tools. Refuses to know how answers are found: it
asks a Source, as the command line does. Errors that explain themselves reach the model as they
are.
"""

import time
from collections.abc import Callable
from functools import wraps
from importlib import metadata
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from ..asking.second_look import confirmed_by_before
from ..asking.source import CONFIRM_AFTER_S, Json, Source
from ..asking.source_text import source_around
from ..errors import BadRequest, PeepsError
from .guide import HELP, INSTRUCTIONS

CONTEXT_LINES = 4


def build(source: Source) -> MCPServer:
    """The server; it speaks once it is run."""
    server = MCPServer(
        "peeps", instructions=INSTRUCTIONS, version=metadata.version("peeps"), log_level="WARNING"
    )
    tools = Tools(source)
    for tool in tools.table():
        server.tool(structured_output=False)(_explained(tool))
    return server


def serve(source: Source) -> None:
    """Serve on standard input and output until they are closed."""
    build(source).run("stdio")


def _explained(tool: Callable[..., Any]) -> Callable[..., Any]:
    """`tool`, whose PeepsErrors are told to the model."""

    @wraps(tool)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except PeepsError as exc:
            hint = f" ({exc.hint})" if exc.hint else ""
            raise ToolError(exc.message + hint) from None

    return run


class Tools:
    """One method a tool; its docstring is what the model reads."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def table(self) -> list[Callable[..., Any]]:
        """All tools."""
        return [
            self.help, self.jump, self.connections, self.snapshots, self.why, self.deadlocks,
            self.check, self.blockers, self.wait_chains, self.node, self.tree, self.diff,
            self.stuck, self.query, self.sql,
        ]  # fmt: skip

    def help(self) -> str:
        """How to go about finding out why a system hangs, and what the tools' answers mean."""
        return HELP

    def jump(self, timeout_ms: int | None = None) -> Json:
        """Take a snapshot of all connected processes now. Returns its id and who answered."""
        return self._source.jump(timeout_ms)

    def connections(self) -> Json:
        """The processes that are connected now."""
        return self._source.connections()

    def snapshots(self, limit: int = 20) -> Json:
        """Stored snapshots, newest first, with who answered."""
        return self._source.ask("snapshots", limit=_within(limit, 1000))

    def why(self, subject: str | None = None, snapshot_id: int | None = None) -> Json:
        """Why something does not go on: a sentence, the chain of waits, its root, how sure.

        subject: a node's id, the name of a task or thread (or a part of it), a process, or
        PROCESS/NAME. Without one, the worst that can be seen. Default snapshot: the latest. A
        deadlock that the snapshot before shows as well is confirmed.
        """
        answer = self._source.ask("why", subject=subject, snapshot_id=snapshot_id)
        if answer["deadlock"] is None:
            return answer
        return confirmed_by_before(self._source.ask, "why", answer)

    def deadlocks(self, snapshot_id: int | None = None, confirm: bool = False) -> Json:
        """Deadlocks: each circle with its members and who waits behind it.

        confirm: take a second snapshot (needs a daemon) and keep what is still there. Without,
        those that the snapshot before shows as well are confirmed.
        """
        first = self._source.ask("deadlocks", snapshot_id=snapshot_id)
        if not first["deadlocks"]:
            return first
        if not confirm:
            return confirmed_by_before(self._source.ask, "deadlocks", first)
        time.sleep(CONFIRM_AFTER_S)
        second = self._source.jump()["snapshot_id"]
        return self._source.ask("deadlocks", snapshot_id=first["snapshot_id"], confirm_with=second)

    def check(self, snapshot_id: int | None = None, confirm_with: int | None = None) -> Json:
        """Everything that is known to go wrong, gravest first, with evidence and SQL.

        confirm_with: another snapshot's id; what is in both is confirmed, the rest left out.
        Without, what the snapshot before shows as well is confirmed.
        """
        found = self._source.ask("check", snapshot_id=snapshot_id, confirm_with=confirm_with)
        if confirm_with is not None or not found["findings"]:
            return found
        return confirmed_by_before(self._source.ask, "check", found)

    def blockers(self, snapshot_id: int | None = None, limit: int = 20) -> Json:
        """What most others wait for, directly and through others."""
        return self._source.ask("blockers", snapshot_id=snapshot_id, limit=_within(limit, 500))

    def wait_chains(self, node_id: str, snapshot_id: int | None = None) -> Json:
        """Everything that a node waits for, directly (depth 1) and through others, to depth 32."""
        return self._source.ask(
            "sql",
            sql="SELECT depth, node_id, kind, name, process, state, location, is_end"
            " FROM wait_chains WHERE start_id = ? ORDER BY depth",
            params=[node_id],
            snapshot_id=snapshot_id,
        )

    def node(self, subject: str, snapshot_id: int | None = None) -> Json:
        """One task, thread or resource: attributes, stack, edges, and source around its frames."""
        found = self._source.ask("node", subject=subject, snapshot_id=snapshot_id)
        places = [found["node"]["location"]]
        places += [frame.rpartition(" (")[2].removesuffix(")") for frame in found["stack"]]
        found["source"] = {
            place: [f"{number}: {text}" for number, text in around]
            for place in dict.fromkeys(places)
            if place and (around := source_around(place, CONTEXT_LINES))
        }
        return found

    def tree(self, process: str | None = None, snapshot_id: int | None = None) -> Json:
        """Tasks, task groups and threads of a process, or of all, as a tree in rows with depth."""
        return self._source.ask("tree", process=process, snapshot_id=snapshot_id)

    def diff(self, before: int | None = None, after: int | None = None) -> Json:
        """What changed between two snapshots (default: the last two), and what waits in both."""
        return self._source.ask("diff", before=before, after=after)

    def stuck(self, snapshots: int = 3) -> Json:
        """What waits on the same thing in each of the last so many snapshots, and since when."""
        return self._source.ask("stuck", count=snapshots)

    def query(
        self, name: str | None = None, snapshot_id: int | None = None, limit: int = 100
    ) -> Json:
        """Run a named query. Without a name: which there are and what each asks."""
        if name is None:
            from ..store.packs import PACKS

            return {"queries": [{"name": p.name, "asks": p.asks} for p in PACKS.values()]}
        return self._source.ask(
            "query", name=name, snapshot_id=snapshot_id, limit=_within(limit, 5000)
        )

    def sql(
        self,
        sql: str,
        params: list[str | int | float | None] | None = None,
        snapshot_id: int | None = None,
    ) -> Json:
        """Run one read-only SELECT over one snapshot (the latest by default)."""
        return self._source.ask("sql", sql=sql, params=params, snapshot_id=snapshot_id)


def _within(limit: int, most: int) -> int:
    if not 1 <= limit <= most:
        raise BadRequest(f"limit must be from 1 to {most}")
    return limit
