"""Questions people ask often, as named SELECTs over one snapshot.

Decides names (those that moire's users know, and more) and their SQL. Each runs as it is through
POST /api/sql, `peeps query NAME` and, with a snapshot's id, in sqlite3. `?1` is the most rows.
`cycles` alone is answered otherwise where peeps itself is asked (cycles.py): on long chains its SQL
costs the square.
Refuses to know who asks. Columns are described in docs/sql-cookbook.md.
"""

from ..errors import NotFound
from .pack import LOCATION, NAME, Pack, attr
from .packs_channels import CHANNEL_PACKS, CHANNELS

DEFAULT_LIMIT = 100


_PACKS = (
    Pack(
        "blockers",
        "What do most others wait for?",
        """
SELECT blocker_id, kind, name, process, location, waiters, waits_itself
  FROM blockers ORDER BY waiters DESC, waits_itself, blocker_id LIMIT ?1""",
    ),
    Pack(
        "waits",
        "Who waits for what?",
        """
SELECT waiter, waiter_process, waiter_location, needs_kind, needs, needs_process, inferred,
       missing_reason
  FROM waits ORDER BY waiter_process, waiter LIMIT ?1""",
    ),
    *CHANNEL_PACKS,
    Pack(
        "scope-membership",
        "Which tasks belong to which task group, nursery or parent task?",
        f"""
SELECT s.id AS scope_id, s.kind AS scope_kind, {NAME.format("s")} AS scope,
       m.id AS member_id, m.kind AS member_kind, {NAME.format("m")} AS member,
       m.proc_key AS process
  FROM edges e
  JOIN nodes s ON s.snapshot_id = e.snapshot_id AND s.id = e.src_id
  JOIN nodes m ON m.snapshot_id = e.snapshot_id AND m.id = e.dst_id
 WHERE e.kind = 'spawned' OR (e.kind = 'needs' AND s.kind = 'joinset')
 ORDER BY process, scope, member LIMIT ?1""",
    ),
    Pack(
        "missing-scope-links",
        "Which tasks belong to no task group and were started by nobody known?",
        f"""
SELECT t.id AS task_id, {NAME.format("t")} AS task, t.proc_key AS process,
       {LOCATION.format("t")} AS location
  FROM nodes t
 WHERE t.kind = 'task'
   AND NOT EXISTS (SELECT 1 FROM edges e
                    WHERE e.snapshot_id = t.snapshot_id AND e.dst_id = t.id
                      AND e.kind = 'spawned')
   AND NOT EXISTS (SELECT 1 FROM edges e
                     JOIN nodes s ON s.snapshot_id = e.snapshot_id AND s.id = e.src_id
                    WHERE e.snapshot_id = t.snapshot_id AND e.dst_id = t.id
                      AND s.kind = 'joinset')
 ORDER BY process, task LIMIT ?1""",
    ),
    Pack(
        "stale-blockers",
        "Which waits were there in the snapshot before as well?",
        """
SELECT w.waiter_id, w.waiter, w.waiter_process, w.waiter_location,
       w.needs_id AS blocked_on_id, w.needs_kind, w.needs AS blocked_on, w.needs_process
  FROM waits w
 WHERE EXISTS (SELECT 1 FROM prev_edges p
                WHERE p.src_id = w.waiter_id AND p.dst_id = w.needs_id AND p.kind = 'needs')
 ORDER BY w.waiter_process, w.waiter LIMIT ?1""",
    ),
    Pack(
        "lock-holders",
        "Who holds which lock, and how many wait for it?",
        f"""
SELECT l.id AS lock_id, {NAME.format("l")} AS lock, h.id AS holder_id,
       {NAME.format("h")} AS holder, h.proc_key AS process, {LOCATION.format("h")} AS location,
       (SELECT count(*) FROM edges w
         WHERE w.snapshot_id = l.snapshot_id AND w.dst_id = l.id AND w.kind = 'needs') AS waiters
  FROM edges e
  JOIN nodes l ON l.snapshot_id = e.snapshot_id AND l.id = e.src_id AND l.kind = 'lock'
  JOIN nodes h ON h.snapshot_id = e.snapshot_id AND h.id = e.dst_id
 WHERE e.kind = 'needs'
 ORDER BY waiters DESC, lock_id LIMIT ?1""",
    ),
    Pack(
        "cycles",
        "Who waits for themselves in the end? (`peeps deadlocks` knows OR waits as well.)",
        # Only what a walk of many steps leads to can be in a cycle: little, where cycles are few.
        f"""
WITH RECURSIVE walk (snapshot_id, id, steps) AS (
  SELECT e.snapshot_id, e.dst_id, 1 FROM edges e
   WHERE e.kind = 'needs'
     AND EXISTS (SELECT 1 FROM edges o
                  WHERE o.snapshot_id = e.snapshot_id AND o.src_id = e.dst_id AND o.kind = 'needs')
   UNION
  SELECT walk.snapshot_id, e.dst_id, walk.steps + 1 FROM walk
    JOIN edges e ON e.snapshot_id = walk.snapshot_id AND e.src_id = walk.id AND e.kind = 'needs'
   WHERE walk.steps < 16)
SELECT t.id, {NAME.format("t")} AS name, t.proc_key AS process, {LOCATION.format("t")} AS location
  FROM walk CROSS JOIN nodes t ON t.snapshot_id = walk.snapshot_id AND t.id = walk.id
 WHERE walk.steps = 16 AND t.kind IN ('task', 'thread')
   AND EXISTS (
     WITH RECURSIVE reached (id) AS (
       SELECT e.dst_id FROM edges e
        WHERE e.snapshot_id = t.snapshot_id AND e.src_id = t.id AND e.kind = 'needs'
        UNION
       SELECT e.dst_id FROM reached
         JOIN edges e ON e.snapshot_id = t.snapshot_id AND e.src_id = reached.id
                     AND e.kind = 'needs'
        LIMIT 1000)
     SELECT 1 FROM reached WHERE reached.id = t.id)
 ORDER BY process, name LIMIT ?1""",
    ),
    Pack(
        "blocked-loops",
        "Which event loops are blocked, and by what?",
        f"""
WITH blocking AS (
  SELECT l.snapshot_id, l.id AS loop_id, coalesce(e.dst_id, l.id) AS id,
         json_extract(l.attrs_json, '$.not_turned_s') AS seconds
    FROM nodes l
    LEFT JOIN edges e ON e.snapshot_id = l.snapshot_id AND e.src_id = l.id AND e.kind = 'needs'
   WHERE l.kind = 'event_loop' AND json_extract(l.attrs_json, '$.cut') = 'blocked'
   UNION ALL
  SELECT t.snapshot_id, t.id, t.id, NULL
    FROM nodes t
   WHERE t.attrs_json GLOB '*"blocked"*' AND json_extract(t.attrs_json, '$.state') = 'blocked'
     AND NOT EXISTS (SELECT 1 FROM edges o  -- else its loop has told of it
                       JOIN nodes l ON l.snapshot_id = o.snapshot_id AND l.id = o.src_id
                      WHERE o.snapshot_id = t.snapshot_id AND o.dst_id = t.id AND o.kind = 'needs'
                        AND l.kind = 'event_loop'
                        AND json_extract(l.attrs_json, '$.cut') = 'blocked'))
SELECT t.id, t.kind, {NAME.format("t")} AS name, t.proc_key AS process,
       {LOCATION.format("t")} AS location, json_extract(t.attrs_json, '$.stack[#-1]') AS innermost,
       b.seconds, b.loop_id,
       (SELECT count(*) FROM edges w
         WHERE w.snapshot_id = b.snapshot_id AND w.dst_id = b.loop_id AND w.kind = 'needs')
         AS waiters
  FROM blocking b JOIN nodes t ON t.snapshot_id = b.snapshot_id AND t.id = b.id
 ORDER BY waiters DESC, t.id LIMIT ?1""",
    ),
    Pack(
        "unwoken-loops",
        "Which event loops sleep although something on them could run?",
        f"""
SELECT l.id, {NAME.format("l")} AS loop, l.proc_key AS process,
       json_extract(l.attrs_json, '$.ready_while_parked') AS ready,
       (SELECT t.id FROM nodes t
         WHERE t.snapshot_id = l.snapshot_id AND t.kind = 'task' AND t.proc_key = l.proc_key
           AND json_extract(t.attrs_json, '$.loop') = l.id
           AND json_extract(t.attrs_json, '$.state') = 'runnable' LIMIT 1) AS task_id
  FROM nodes l
 WHERE l.kind = 'event_loop' AND json_extract(l.attrs_json, '$.ready_while_parked') > 0
 ORDER BY process, l.id LIMIT ?1""",
    ),
    Pack(
        "exhausted-pools",
        "Which semaphores, limiters and pools have nothing left while somebody waits?",
        f"""
SELECT p.id, p.kind, {NAME.format("p")} AS name, p.proc_key AS process,
       {attr("p", "total", "max_value", "max_workers", "size", "capacity")} AS total,
       (SELECT count(*) FROM edges w
         WHERE w.snapshot_id = p.snapshot_id AND w.dst_id = p.id AND w.kind = 'needs') AS waiters,
       (SELECT count(*) FROM edges h
         WHERE h.snapshot_id = p.snapshot_id AND h.src_id = p.id AND h.kind = 'needs') AS holders
  FROM nodes p
 WHERE p.kind IN ('semaphore', 'executor', 'pool')
   AND EXISTS (SELECT 1 FROM edges w
                WHERE w.snapshot_id = p.snapshot_id AND w.dst_id = p.id AND w.kind = 'needs')
   AND coalesce({attr("p", "value", "available")}, 0) = 0
 ORDER BY waiters DESC, p.id LIMIT ?1""",
    ),
    Pack(
        "full-queues",
        "Which queues and channels are full while somebody waits to put something in?",
        CHANNELS
        + """
SELECT c.id, c.kind, c.name, c.proc_key AS process, c.capacity, c.occupancy, c.unfinished,
       count(*) AS waiting_to_send,
       EXISTS (SELECT 1 FROM nodes m
                WHERE m.snapshot_id = c.snapshot_id AND m.proc_key = c.proc_key
                  AND (m.kind = 'sleep' AND json_extract(m.attrs_json, '$.remaining_s') < 1
                    OR m.kind IN ('task', 'thread')
                       AND json_extract(m.attrs_json, '$.state') IN ('running', 'runnable')))
         AS something_moves
  FROM users u JOIN channels c ON c.snapshot_id = u.snapshot_id AND c.id = u.dst_id
 WHERE u.op = 'send'
 GROUP BY c.id ORDER BY waiting_to_send DESC, c.id LIMIT ?1""",
    ),
    Pack(
        "unserved",
        "What is waited for in processes where nothing is left that could provide it?",
        f"""
WITH alive AS (
  SELECT DISTINCT a.proc_key
    FROM nodes a
   WHERE a.kind IN ('task', 'thread', 'socket', 'sleep', 'interval', 'timeout', 'command',
                    'net_connect', 'net_accept', 'net_readable', 'net_writable', 'file_op')
     AND ({attr("a", "timeout_s")} <= 60  -- what will end by itself may provide then
          OR NOT EXISTS (SELECT 1 FROM edges e
                          WHERE e.snapshot_id = a.snapshot_id AND e.src_id = a.id
                            AND e.kind = 'needs'))
     AND (a.kind NOT IN ('task', 'thread')
          OR coalesce({attr("a", "state")}, '') NOT IN ('idle', 'parked', 'done', 'finished'))
   UNION  -- somebody from outside, or a timer, may set these in motion
  SELECT l.proc_key FROM nodes l
   WHERE l.kind = 'event_loop'
     AND ({attr("l", "listens_to")} > 0 OR {attr("l", "next_timer_s")} <= 60)
   UNION  -- where a collector failed, what it would have seen may be what provides
  SELECT p.proc_key FROM nodes p
   WHERE p.kind = 'process'
     AND ({attr("p", "signal_handlers")} > 0 OR {attr("p", "problems")} IS NOT NULL))
SELECT r.id, r.kind, {NAME.format("r")} AS name, r.proc_key AS process,
       count(*) AS waiters, min(e.src_id) AS a_waiter_id
  FROM edges e
  JOIN nodes r ON r.snapshot_id = e.snapshot_id AND r.id = e.dst_id
 WHERE e.kind = 'needs'
   AND r.kind IN ('queue', 'tx', 'rx', 'notify', 'condition', 'barrier', 'future', 'oncecell')
   AND NOT EXISTS (SELECT 1 FROM edges o
                    WHERE o.snapshot_id = r.snapshot_id AND o.src_id = r.id AND o.kind = 'needs')
   AND json_extract(r.attrs_json, '$.shared') IS NOT 1  -- with other processes
   AND coalesce(json_extract(r.attrs_json, '$.type'), '') NOT LIKE 'multiprocessing%'
   AND r.proc_key NOT IN (SELECT proc_key FROM alive)
 GROUP BY r.id ORDER BY waiters DESC, r.id LIMIT ?1""",
    ),
    Pack(
        "open-scopes",
        "Which task groups and nurseries wait for one last child?",
        f"""
SELECT s.id, {NAME.format("s")} AS name, s.proc_key AS process,
       c.id AS child_id, {NAME.format("c")} AS child, {LOCATION.format("c")} AS child_location,
       p.id AS parent_id, {NAME.format("p")} AS parent
  FROM nodes s  -- first, hence CROSS: few nodes are task groups
 CROSS JOIN edges e ON e.snapshot_id = s.snapshot_id AND e.src_id = s.id AND e.kind = 'needs'
 CROSS JOIN nodes c ON c.snapshot_id = s.snapshot_id AND c.id = e.dst_id
 CROSS JOIN edges w ON w.snapshot_id = s.snapshot_id AND w.dst_id = s.id AND w.kind = 'needs'
 CROSS JOIN nodes p ON p.snapshot_id = s.snapshot_id AND p.id = w.src_id
 WHERE s.kind = 'joinset'
 GROUP BY s.id HAVING count(DISTINCT c.id) = 1
 ORDER BY process, name LIMIT ?1""",
    ),
    Pack(
        "shielded-tasks",
        "Which tasks are cancelled and wait on all the same, inside a shielded scope?",
        # Scopes are listed innermost first: a cancelled one outside of a shield does not reach in.
        f"""
SELECT t.id, {NAME.format("t")} AS name, t.proc_key AS process, {LOCATION.format("t")} AS location,
       {attr("t", "timeout_s")} AS timeout_s
  FROM nodes t
 WHERE t.kind = 'task' AND instr(t.attrs_json, '"cancel_scopes"')
   AND EXISTS (SELECT 1
                 FROM json_each(t.attrs_json, '$.cancel_scopes') inner_scope,
                      json_each(t.attrs_json, '$.cancel_scopes') outer_scope
                WHERE inner_scope.key < outer_scope.key
                  AND CASE inner_scope.type WHEN 'object'
                      THEN json_extract(inner_scope.value, '$.shield') = 1 END
                  AND CASE outer_scope.type WHEN 'object'
                      THEN json_extract(outer_scope.value, '$.cancel_called') = 1 END)
   AND EXISTS (SELECT 1 FROM edges e
                WHERE e.snapshot_id = t.snapshot_id AND e.src_id = t.id AND e.kind = 'needs')
 ORDER BY process, name LIMIT ?1""",
    ),
    Pack(
        "oldest-requests",
        "Which requests between processes have been open longest, and who works on them?",
        f"""
SELECT q.id, {NAME.format("q")} AS request, q.proc_key AS process,
       {attr("q", "age_s")} AS age_s,
       (SELECT e.src_id FROM edges e
         WHERE e.snapshot_id = q.snapshot_id AND e.dst_id = q.id AND e.kind = 'needs' LIMIT 1)
         AS caller_id,
       r.id AS response_id, r.proc_key AS server_process,
       (SELECT e.dst_id FROM edges e
         WHERE e.snapshot_id = r.snapshot_id AND e.src_id = r.id AND e.kind = 'needs' LIMIT 1)
         AS server_id
  FROM nodes q
  LEFT JOIN edges a ON a.snapshot_id = q.snapshot_id AND a.src_id = q.id AND a.kind = 'needs'
  LEFT JOIN nodes r ON r.snapshot_id = q.snapshot_id AND r.id = a.dst_id AND r.kind = 'response'
 WHERE q.kind = 'request'
 ORDER BY age_s DESC, q.id LIMIT ?1""",
    ),
    Pack(
        "requests-between",
        "Which tasks wait for a task in another process?",
        # Each step from the one before, hence CROSS. A socket has one other end and few tasks
        # that serve it; the limits keep what is told of them from multiplying.
        f"""
SELECT c.id AS caller_id, {NAME.format("c")} AS caller, c.proc_key AS caller_process,
       {LOCATION.format("c")} AS caller_location,
       s.id AS server_id, {NAME.format("s")} AS server, s.proc_key AS server_process,
       {LOCATION.format("s")} AS server_location, n.dst_id AS socket_id,
       (SELECT {attr("k", "quiet_s")} FROM nodes k
         WHERE k.snapshot_id = n.snapshot_id AND k.id = n.dst_id) AS quiet_s,
       (SELECT {attr("k", "accepted")} FROM nodes k
         WHERE k.snapshot_id = n.snapshot_id AND k.id = n.dst_id) AS accepted,
       (SELECT {attr("k", "received_last")} FROM nodes k
         WHERE k.snapshot_id = n.snapshot_id AND k.id = n.dst_id) AS received_last
  FROM edges n
 CROSS JOIN nodes c ON c.snapshot_id = n.snapshot_id AND c.id = n.src_id AND c.kind <> 'socket'
 CROSS JOIN edges m ON m.snapshot_id = n.snapshot_id AND m.src_id = +n.dst_id AND m.kind = 'needs'
       AND m.dst_id IN (SELECT o.dst_id FROM edges o
                         WHERE o.snapshot_id = n.snapshot_id AND o.src_id = +n.dst_id
                           AND o.dst_id >= 'socket:' AND o.dst_id < 'socket;'
                           AND o.kind = 'needs' LIMIT 4)
 CROSS JOIN edges v ON v.snapshot_id = m.snapshot_id AND v.src_id = m.dst_id AND v.kind = 'needs'
       AND v.dst_id IN (SELECT o.dst_id FROM edges o
                         WHERE o.snapshot_id = m.snapshot_id AND o.src_id = m.dst_id
                           AND (o.dst_id < 'socket:' OR o.dst_id >= 'socket;')
                           AND o.kind = 'needs' LIMIT 16)
 CROSS JOIN nodes s ON s.snapshot_id = n.snapshot_id AND s.id = v.dst_id AND s.kind <> 'socket'
 WHERE n.kind = 'needs' AND n.dst_id >= 'socket:' AND n.dst_id < 'socket;' AND c.id <> s.id
   AND NOT EXISTS (SELECT 1 FROM edges own
                    WHERE own.snapshot_id = n.snapshot_id AND own.src_id = s.id
                      AND own.dst_id = m.dst_id AND own.kind = 'needs')
 ORDER BY caller_process, caller LIMIT ?1""",
    ),
    Pack(
        "unanswered",
        "Who did not answer?",
        """
SELECT proc_key, process, pid, status, error_text, edges_into_it
  FROM unanswered ORDER BY edges_into_it DESC, proc_key LIMIT ?1""",
    ),
    Pack(
        "cross-process-edges",
        "Which edges join two processes?",
        """
SELECT kind, src, src_kind, src_process, dst, dst_kind, dst_process, src_id, dst_id
  FROM cross_process_edges ORDER BY src_process, dst_process, src_id LIMIT ?1""",
    ),
)

PACKS = {pack.name: pack for pack in _PACKS}


def pack_named(name: str) -> Pack:
    """The pack of that name. Raises NotFound, naming those there are."""
    pack = PACKS.get(name)
    if pack is None:
        raise NotFound(f"there is no query named {name!r}; there are: {', '.join(sorted(PACKS))}")
    return pack
