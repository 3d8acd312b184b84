"""Answers in words: why, deadlocks, check, blockers, stuck, diff.

Decides the wording and layout for somebody who is tired and in a hurry. Refuses to know where an
answer came from.
"""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..asking.source import Json
from ..asking.source_text import short, source_line
from ..core.phrases import KIND_WORDS, count, duration
from .output import Out

RED, YELLOW, GREEN, DIM, BOLD = "bold red", "yellow", "green", "dim", "bold"

ROOT_TITLES = {
    "cycle": "Deadlock",
    "unanswered": "A process did not answer",
    "blocked_loop": "A blocked event loop",
    "external": "Waiting for something outside",
    "unknown": "Waiting, and nobody who would end it can be seen",
    "running": "Not stuck: it runs",
    "sleeping": "Sleeping",
    "timeout": "Waiting with a time limit",
}

_STYLES = {"cycle": RED, "unanswered": RED, "blocked_loop": RED, "running": GREEN}

STRAIGHT = frozenset({"waits for", "sleeps until"})


def title(node: Json) -> str:
    """E.g. task 'fetch'."""
    return f"{KIND_WORDS.get(node['kind'], node['kind'])} {node['name']!r}"


def where(node: Json) -> str:
    """Process and place."""
    return "  ".join(part for part in (node["proc_key"], place(node)) if part)


def place(node: Json) -> str:
    """E.g. app.py:31 in fetch."""
    location = short(node["location"])
    return f"{location} in {node['function']}" if location and node["function"] else location


def why(out: Out, answer: Json) -> None:
    """One explanation: what, the chain, how sure."""
    root = answer["root"]
    knot = answer["deadlock"]
    if root is None:
        out.line((answer["sentence"], GREEN))
        caveats(out, answer["caveats"])
        return
    heading = ROOT_TITLES[root["kind"]]
    if knot is not None:
        heading += " (seen twice)" if knot["status"] == "confirmed" else "? (seen once)"
    out.line(
        (heading, _STYLES.get(root["kind"], BOLD)), (f"   snapshot {answer['snapshot_id']}", DIM)
    )
    out.line()
    out.line(answer["sentence"])
    out.line()
    steps = answer["steps"]
    if knot is not None:
        steps = [*steps, *_once_round(knot["cycle"], steps[-1]["node"]["id"])]
    chain(out, steps)
    out.line()
    if knot is None:
        out.line(("root: ", BOLD), f"{root['kind'].replace('_', ' ')} — {root['reason']}")
    if waiting := answer["waiting_count"]:
        out.line(("held up: ", BOLD), count(waiting, "task or thread", "tasks and threads"))
    confidence(out, answer["confidence"])
    caveats(out, answer["caveats"])


def _of_snapshot(answer: Json) -> tuple[str, str]:
    return f"   snapshot {answer['snapshot_id']}", DIM


def _once_round(cycle: Sequence[Json], start: str) -> Sequence[Json]:
    """The steps of a closed cycle that follow upon the node `start` and end at it again."""
    ids = [step["node"]["id"] for step in cycle]
    if start not in ids:
        return cycle
    at = ids.index(start)
    return [*cycle[at + 1 :], *cycle[1 : at + 1]]


def chain(out: Out, steps: Sequence[Json]) -> None:
    """Each step with its place and, where it can be read, its line of source."""
    known: dict[str, int] = {}
    for step in steps:
        node = step["node"]
        if step["relation"]:
            doubt = f"   (inferred: {step['inferred']})" if step["inferred"] else ""
            out.line("     ", (step["relation"], YELLOW), (doubt, DIM))
        again = node["id"] in known
        number = known.setdefault(node["id"], len(known) + 1)
        if again:
            out.line((f"{number:3}  ", DIM), (title(node), BOLD), ("   again", RED))
            continue
        out.line((f"{number:3}  ", DIM), (title(node), BOLD), f"   {where(node)}")
        if text := source_line(node["location"]):
            out.line("       | ", (text, "cyan"))


def confidence(out: Out, judged: Json | None) -> None:
    """How sure, and why not surer."""
    if judged is None:
        return
    out.line(("confidence: ", BOLD), judged["level"])
    for reason in judged["reasons"]:
        out.line("  - ", reason)


def caveats(out: Out, said: Sequence[str]) -> None:
    """What the reader must know besides."""
    for caveat in said:
        out.line(("note: ", YELLOW), caveat)


def deadlocks(out: Out, answer: Json) -> None:
    """Each deadlock, apart, with those who wait behind it."""
    found = answer["deadlocks"]
    if not found:
        out.line(("No deadlock.", GREEN), _of_snapshot(answer))
    for number, knot in enumerate(found, 1):
        status = "seen twice" if knot["status"] == "confirmed" else "seen once"
        out.line((f"Deadlock {number} of {len(found)}", RED), (f"   {knot['id']}, {status}", DIM))
        chain(out, knot["cycle"])
        if knot["members_count"] > len(knot["members"]) or knot["members_count"] > _acting(knot):
            out.line(
                "  ",
                count(knot["members_count"], "task or thread", "tasks and threads"),
                " are tied in this knot; above is a shortest circle through it.",
            )
        if knot["waiting_count"]:
            out.line(("  waiting behind it: ", BOLD), str(knot["waiting_count"]))
            for node in knot["waiting"][:10]:
                out.line("    ", title(node), f"   {where(node)}")
            if knot["waiting_count"] > 10:
                out.line("    ...")
        confidence(out, knot["confidence"])
        out.line()
    for proc_key in answer["unanswered"]:
        out.line(("note: ", YELLOW), f"{proc_key} did not answer; a deadlock there would not show.")


def _acting(knot: Json) -> int:
    return sum(s["node"]["kind"] in ("task", "thread", "command") for s in knot["cycle"][1:])


SEVERITY_STYLES = {"critical": RED, "error": RED, "warning": YELLOW, "info": DIM}


def check(out: Out, answer: Json, *, with_sql: bool = False) -> None:
    """All findings, the gravest first."""
    if not answer["findings"]:
        out.line(
            ("Nothing is wrong that could be seen.", GREEN),
            (f"   snapshot {answer['snapshot_id']}", DIM),
        )
    for finding in answer["findings"]:
        seen = (
            "seen twice" if finding["confirmed"] else f"confidence {finding['confidence']['level']}"
        )
        out.line(
            (f"{finding['severity']:8} ", SEVERITY_STYLES[finding["severity"]]),
            (finding["title"], BOLD),
            (f"   {finding['kind']}, {seen}", DIM),
        )
        out.line("         ", finding["sentence"])
        for line in finding["evidence"]:
            out.line("           - ", (line, DIM))
        if subject := finding["subject"]:
            out.line("         ", (f"more: peeps why {shlex.quote(subject['id'])}", DIM))
        if with_sql:
            for line in answer["sql"][finding["query"]].splitlines():
                out.line("           ", (line, "cyan"))
    if answer["findings"]:
        out.line()
        out.line(("how each was found: peeps check --sql", DIM))


def blockers(out: Out, answer: Json) -> None:
    """Who holds up how many."""
    if not answer["blockers"]:
        out.line(("Nobody waits for anybody.", GREEN))
        return
    out.table(
        ["waiters", "direct", "what", "where", "because"],
        [
            (b["total"], b["direct"], title(b["node"]), where(b["node"]), _ends_in(b))
            for b in answer["blockers"]
        ],
    )


def _ends_in(blocker: Json) -> str:
    root = blocker["root"]
    if root is None:
        return ""
    if root["kind"] == "cycle":
        return "it is caught in a deadlock"
    if root["node"]["id"] == blocker["node"]["id"]:
        return str(root["reason"])
    return f"it waits, in the end, for {title(root['node'])}"


def moment(ns: int | None) -> str:
    """A time of day in UTC, with milliseconds."""
    if ns is None:
        return ""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def stuck(out: Out, answer: Json) -> None:
    """What waits on the same thing in each of the snapshots."""
    ids = answer["snapshots"]
    out.line((f"In each of the snapshots {ids[-1]} to {ids[0]}:", BOLD))
    persisting(out, answer["waits"], answer["count"])


def persisting(out: Out, waits: Sequence[Json], total: int) -> None:
    """Waits with how long they have been there at least."""
    people = [w for w in waits if w["waiter"]["kind"] in ("task", "thread", "future")]
    if not people:
        out.line(("nothing waits on the same thing", GREEN))
        return
    out.table(
        ["at least", "since", "who", "where", "waits for"],
        [
            (
                duration(w["seconds"]),
                f"snapshot {w['since_snapshot']}",
                title(w["waiter"]),
                where(w["waiter"]),
                title(w["needs"]),
            )
            for w in people
        ],
    )
    if total > len(waits):
        out.line((f"... of {total} in all", DIM))


def diff(out: Out, answer: Json) -> None:
    """What changed between two snapshots."""
    counts: dict[str, Any] = answer["counts"]
    out.line(
        (f"From snapshot {answer['before']} to {answer['after']}", BOLD),
        f", {duration(abs(answer['seconds']))} {'earlier' if answer['seconds'] < 0 else 'later'}:",
    )
    for name, sign, style in (("nodes_appeared", "+", GREEN), ("nodes_gone", "-", RED)):
        for node in answer[name]:
            out.line((f"{sign} ", style), title(node), f"   {where(node)}")
        _more(out, len(answer[name]), counts[name])
    for change in answer["nodes_changed"]:
        before, after = change["before"], change["after"]
        told = ", ".join(f"{key}: {before[key]} -> {after[key]}" for key in before)
        out.line(("~ ", YELLOW), title(change["node"]), f" ({change['node']['proc_key']})   {told}")
    _more(out, len(answer["nodes_changed"]), counts["nodes_changed"])
    for name, sign, style in (("edges_appeared", "+", GREEN), ("edges_gone", "-", RED)):
        for edge in answer[name]:
            src, dst = edge["src_process"], edge["dst_process"]
            told = src if src == dst else f"{src} -> {dst}"
            words = f"{edge['src_name']!r} {edge['kind']} {edge['dst_name']!r}"
            out.line((f"{sign} ", style), words, f"   {told}" if src or dst else "")
        _more(out, len(answer[name]), counts[name])
    if not any(n for name, n in counts.items() if name != "persisting"):
        out.line("nothing has changed")
    out.line()
    out.line(("Waiting in both:", BOLD))
    persisting(out, answer["persisting"], counts["persisting"])


def _more(out: Out, shown: int, total: int) -> None:
    if total > shown:
        out.line((f"  ... and {total - shown} more", DIM))
