"""Named questions about queues and channels.

Decides who sends and who receives, from what each edge says or else from how full the channel is.
Refuses to know who asks.
"""

from .pack import LOCATION, NAME, Pack, attr

_CHANNEL_KINDS = "('queue', 'tx', 'rx', 'remote_tx', 'remote_rx')"

CHANNELS = f"""
WITH channels AS (
  SELECT c.snapshot_id, c.id, c.kind, c.proc_key, {NAME.format("c")} AS name,
         {attr("c", "maxsize", "capacity")} AS capacity,
         {attr("c", "size", "occupancy", "len")} AS occupancy,
         {attr("c", "putters", "waiting_senders")} AS senders,
         {attr("c", "getters", "waiting_receivers")} AS receivers,
         {attr("c", "open_senders")} AS open_senders,
         {attr("c", "open_receivers")} AS open_receivers,
         {attr("c", "unfinished")} AS unfinished,
         {attr("c", "closed", "lifecycle")} AS lifecycle
    FROM nodes c WHERE c.kind IN {_CHANNEL_KINDS}),
users AS (
  SELECT e.snapshot_id, e.src_id, e.dst_id,
         CASE WHEN json_extract(e.attrs_json, '$.op') IN ('put', 'send', 'write', 'drain')
                OR c.kind IN ('tx', 'remote_tx') AND json_extract(e.attrs_json, '$.op') IS NULL
              THEN 'send'
              WHEN json_extract(e.attrs_json, '$.op') IN ('get', 'receive', 'recv', 'read')
                OR c.kind IN ('rx', 'remote_rx') AND json_extract(e.attrs_json, '$.op') IS NULL
              THEN 'receive'
              WHEN json_extract(e.attrs_json, '$.op') IS NULL AND c.capacity > 0
                   AND c.occupancy >= c.capacity THEN 'send'
              WHEN json_extract(e.attrs_json, '$.op') IS NULL AND c.occupancy = 0 THEN 'receive'
              ELSE json_extract(e.attrs_json, '$.op') END AS op
    FROM edges e JOIN channels c ON c.snapshot_id = e.snapshot_id AND c.id = e.dst_id
   WHERE e.kind = 'needs')
"""

_BLOCKED = (
    CHANNELS
    + f"""
SELECT t.id AS task_id, {NAME.format("t")} AS task, t.proc_key AS process,
       {LOCATION.format("t")} AS location, c.id AS channel_id, c.name AS channel,
       c.capacity, c.occupancy
  FROM users u
  JOIN nodes t ON t.snapshot_id = u.snapshot_id AND t.id = u.src_id
  JOIN channels c ON c.snapshot_id = u.snapshot_id AND c.id = u.dst_id
 WHERE u.op = '{{op}}'{{more}}
 ORDER BY process, task LIMIT ?1"""
)

_STALLED = """
   AND EXISTS (SELECT 1 FROM prev_edges p
                WHERE p.src_id = u.src_id AND p.dst_id = u.dst_id AND p.kind = 'needs')"""

CHANNEL_PACKS = (
    Pack(
        "blocked-senders",
        "Who waits to put something into a queue or channel?",
        _BLOCKED.format(op="send", more=""),
    ),
    Pack(
        "blocked-receivers",
        "Who waits to get something out of a queue or channel?",
        _BLOCKED.format(op="receive", more=""),
    ),
    Pack(
        "stalled-sends",
        "Which of those senders already waited in the snapshot before?",
        _BLOCKED.format(op="send", more=_STALLED),
    ),
    Pack(
        "channel-pressure",
        "Which bounded queues and channels are fullest?",
        CHANNELS
        + """
SELECT id, kind, name, proc_key AS process, capacity, occupancy,
       round(1.0 * occupancy / capacity, 3) AS utilization, senders, receivers
  FROM channels WHERE capacity > 0
 ORDER BY utilization DESC, occupancy DESC, id LIMIT ?1""",
    ),
    Pack(
        "channel-health",
        "What state is each queue and channel in?",
        CHANNELS
        + """
SELECT id, kind, name, proc_key AS process, capacity, occupancy, senders, receivers,
       open_senders, open_receivers, lifecycle
  FROM channels ORDER BY process, name, id LIMIT ?1""",
    ),
)
