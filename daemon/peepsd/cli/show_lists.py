"""Lists in words: snapshots, connections, waits, trees, stacks, rows of SQL.

Decides columns and their order. Refuses to know where a list came from.
"""

from typing import Any

from ..asking.source import Json
from ..asking.source_text import is_library, short, source_line
from ..core.phrases import count, duration
from ..core.roots import ANSWERS
from .output import Out
from .show_answers import BOLD, DIM, GREEN, RED, YELLOW, moment, place, title, where

BAR = 30
ENDINGS = {"timed_out": "timed out", "disconnected": "disconnected", "errors": "failed"}
BACKWARDS = {"needs": "needed by", "spawned": "spawned by"}


def jumped(out: Out, summary: Json) -> None:
    """A snapshot that was just taken."""
    parts = [f"{summary['responded']} of {summary['requested']} answered"]
    for name, words in (
        ("timed_out", "timed out"),
        ("disconnected", "disconnected"),
        ("errors", "failed"),
    ):
        if summary[name]:
            parts.append(f"{summary[name]} {words}")
    out.line(
        (f"snapshot {summary['snapshot_id']}", BOLD),
        f"   {', '.join(parts)} in {summary['elapsed_ms']:.0f} ms",
    )
    out.table(
        ["process", "status", "nodes", "edges", ""],
        [
            (p["proc_key"], p["status"], p["nodes"], p["edges"], p["error_text"])
            for p in summary["processes"]
        ],
    )


def events(out: Out, answer: Json) -> None:
    """What could not be used, newest first."""
    if not answer["events"]:
        out.line("Everything that was received could be used.")
        return
    out.table(
        ["at (UTC)", "kind", "times", "snapshot", "process", "detail"],
        [
            (
                moment(e["event_at_ns"]),
                e["event_kind"],
                e["count"],
                e["snapshot_id"] or "",
                e["proc_key"] or "",
                e["detail"],
            )
            for e in answer["events"]
        ],
    )


def snapshots(out: Out, answer: Json) -> None:
    """A timeline, newest first: when, who answered, how large."""
    rows = answer["snapshots"]
    if not rows:
        out.line("There is no snapshot yet; take one with `peeps jump`.")
        return
    largest = max(row["nodes"] for row in rows) or 1
    table = []
    for row, before in zip(rows, [*rows[1:], None], strict=True):
        gap = (row["requested_at_ns"] - before["requested_at_ns"]) / 1e9 if before else None
        missing = row["timed_out"] + row["disconnected"] + row["errors"]
        took = row["completed_at_ns"] and (row["completed_at_ns"] - row["requested_at_ns"]) / 1e6
        table.append(
            (
                row["snapshot_id"],
                moment(row["requested_at_ns"]),
                f"+{duration(gap)}" if gap is not None else "",
                f"{took:.0f} ms" if took else "",
                f"{row['responded']}/{row['requested']}",
                f"{missing} missing" if missing else "",
                row["nodes"],
                row["edges"],
                "█" * max(1, round(BAR * row["nodes"] / largest)) if row["nodes"] else "",
                row["interrupted"] or "",
            )
        )
    out.table(["id", "at (UTC)", "after", "took", "answered", "", "nodes", "edges", "", ""], table)


def connections(out: Out, answer: Json) -> None:
    """Who is connected now."""
    if not answer["connections"]:
        out.line("No process is connected. Start one with PEEPS_DASHBOARD set to the daemon's")
        out.line("listener (127.0.0.1:9119 unless it was changed), or with `peeps run -- COMMAND`.")
        return
    out.table(
        ["process", "pid", "agent", "address", "connected for", "last answer"],
        [
            (
                c["proc_key"],
                c["pid"],
                c["agent"] or "(did not say)",
                c["address"],
                duration(c["connected_s"]),
                "" if c["last_latency_ms"] is None else f"{c['last_latency_ms']:.1f} ms",
            )
            for c in answer["connections"]
        ],
    )


def waits(out: Out, answer: Json) -> None:
    """Who waits for what."""
    if not answer["waits"]:
        out.line(("Nobody waits for anything that could be seen.", GREEN))
        return
    out.table(
        ["process", "who", "where", "waits for", ""],
        [
            (
                w["waiter_process"],
                _thing(w["waiter_kind"], w["waiter"], w["waiter_id"]),
                short(w["waiter_location"]),
                _thing(w["needs_kind"], w["needs"], w["needs_id"]),
                ANSWERS.get(w["missing_reason"], "is in no reply") if w["missing_reason"] else "",
            )
            for w in answer["waits"]
        ],
    )


def _thing(kind: str | None, name: str, node_id: str) -> str:
    """As other answers call it: what a row of SQL has no name for goes by the end of its id."""
    known = kind or node_id.partition(":")[0]
    return title({"kind": known, "name": node_id.rpartition("/")[2] if name == node_id else name})


STATE_STYLES = {"blocked": RED, "running": GREEN}


def tree(out: Out, answer: Json) -> None:
    """Processes with their task groups, tasks and threads."""
    for process in answer["processes"]:
        actors = count(process["count"], "task or thread", "tasks and threads")
        out.line((process["proc_key"], BOLD), (f"   {actors}", DIM))
        branches = process["branches"]
        open_at: list[bool] = []
        for i, branch in enumerate(branches):
            depth = branch["depth"]
            more = _has_sibling(branches, i)
            del open_at[depth:]
            lead = "".join("│  " if is_open else "   " for is_open in open_at)
            open_at.append(more)
            state = branch["state"]
            at = place(branch)
            out.line(
                (lead + ("├─ " if more else "└─ "), DIM),
                title(branch),
                (f"  {state}" if state else "", STATE_STYLES.get(state or "", DIM)),
                (f"  {at}" if at else "", DIM),
            )


def _has_sibling(branches: list[Json], i: int) -> bool:
    depth = branches[i]["depth"]
    for later in branches[i + 1 :]:
        if later["depth"] <= depth:
            return bool(later["depth"] == depth)
    return False


def node(out: Out, answer: Json) -> None:
    """One node: where it is, its stack, its edges."""
    found = answer["node"]
    out.line((title(found), BOLD), f"   {where(found)}")
    out.line((found["id"], DIM))
    if found["state"]:
        out.line("state: ", found["state"])
    if answer["stack"]:
        out.line(("stack, outermost first:", BOLD))
        for frame in answer["stack"]:
            _frame(out, frame)
    attrs = {
        key: value
        for key, value in answer["attrs"].items()
        if not key.startswith("ctx.") and key not in ("stack", "name", "state")
    }
    for key, value in attrs.items():
        out.line(f"{key}: ", str(value))
    for edge in answer["edges"]:
        inferred = edge["attrs"].get("inferred")
        doubt = (f"   (inferred: {inferred})" if inferred else "", DIM)
        if edge["src"] == found["id"]:
            other = answer["names"][edge["dst"]]
            out.line((f"{edge['kind']} ", YELLOW), title(other), f"   {where(other)}", doubt)
        else:
            other = answer["names"][edge["src"]]
            told = {"needs": "needed by", "spawned": "spawned by"}.get(
                edge["kind"], f"{edge['kind']} from"
            )
            out.line((f"{told} ", YELLOW), title(other), f"   {where(other)}", doubt)


def _frame(out: Out, frame: str) -> None:
    """One frame; what is the program's own stands out."""
    location = _location_of(frame)
    shown = frame.replace(location, short(location)) if location else frame
    out.line("  ", (shown, DIM if is_library(location) else ""))
    if text := source_line(location):
        out.line("    | ", (text, DIM if is_library(location) else "cyan"))


def _location_of(frame: str) -> str | None:
    """The "file:line" in "function (file:line)"."""
    _, opening, rest = frame.rpartition(" (")
    return rest.removesuffix(")") if opening else None


def rows(out: Out, answer: Json) -> None:
    """A result of SQL."""
    out.table(answer["columns"], [[_cell(value) for value in row] for row in answer["rows"]])
    told = f"{answer['row_count']} rows" if answer["row_count"] != 1 else "1 row"
    cut = f", cut short by {answer['truncated']}" if answer["truncated"] else ""
    out.line((f"{told}{cut}   snapshot {answer['snapshot_id']}", DIM))


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("$real") or f"<{len(value.get('$blob', '')) * 3 // 4} bytes>"
    return value


def jumped_briefly(out: Out, summary: Json) -> None:
    """A snapshot of a recording, in a line."""
    out.line(
        (f"snapshot {summary['snapshot_id']}", BOLD),
        f"   {summary['responded']} of {summary['requested']} answered"
        f" in {summary['elapsed_ms']:.0f} ms",
    )
