"""The named query `cycles`, answered by the wait graph and not by its SQL.

Decides who is in a cycle: in steps that grow with the edges, where the SQL, which sqlite3 users
have, walks from every node and gives up beyond 1000. Same columns, same rows, same order.
"""

import orjson

from ..core import waits
from . import bounded
from .graph_reads import GraphReads
from .pack import LOCATION, NAME

_MEMBERS = f"""
SELECT t.id, {NAME.format("t")} AS name, t.proc_key AS process, {LOCATION.format("t")} AS location
  FROM json_each(?2) member CROSS JOIN nodes t ON t.snapshot_id = ?3 AND t.id = member.value
 WHERE t.kind IN ('task', 'thread')
 ORDER BY process, name, t.id LIMIT ?1"""


def answer(reads: GraphReads, snapshot_id: int, limit: int) -> bounded.Answer:
    """Tasks and threads that wait for themselves in the end. `reads` is narrowed to it."""
    graph = waits.build(reads.needs())
    members = [
        graph.ids[n]
        for part in graph.components(graph.peeled()[1])
        if waits.is_cycle(graph, part)
        for n in part
    ]
    params = (limit, orjson.dumps(members).decode(), snapshot_id)
    return bounded.answer(reads.connection, snapshot_id, _MEMBERS, params)
