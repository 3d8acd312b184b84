"""The second look, which tells a deadlock from a moment.

Decides which stored snapshot stands in for a second look when nobody can or shall be asked again:
the whole one before. Refuses to know how two snapshots are compared.
"""

from collections.abc import Callable

from .source import Json

TRIED = 20
"""So many snapshots in a row may be unfinished."""

Ask = Callable[..., Json]
"""Source.ask, or what wraps it."""


def snapshot_before(ask: Ask, at: int) -> int | None:
    """The last whole snapshot before that one; None: there is none."""
    earlier = ask("snapshots", before=at, limit=TRIED)["snapshots"]
    whole = (s["snapshot_id"] for s in earlier if s["completed_at_ns"] and not s["interrupted"])
    return next(whole, None)


def confirmed_by_before(ask: Ask, question: str, answer: Json) -> Json:
    """The answer to why, deadlocks or check, with what the snapshot before shows as well marked
    as confirmed. Nothing is taken back: what was not there yet may have begun since."""
    at = answer["snapshot_id"]
    if (before := snapshot_before(ask, at)) is None:
        return answer
    if question != "why":
        return ask(question, snapshot_id=at, confirm_with=before, keep=True)
    start = answer["subject"]["id"]
    again = ask("why", snapshot_id=at, subject=start, confirm_with=before)
    knot = again["deadlock"]
    return again if knot is not None and knot["status"] == "confirmed" else answer
