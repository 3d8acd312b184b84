-- The database of peepsd: one consistent view of every process, per snapshot.
-- This file is the only DDL. `PRAGMA user_version` is its version; daemon/peepsd/store/schema.py
-- refuses a newer one and migrates an older one. Times are Unix nanoseconds.
-- Columns after the blank line in a table were added to the original tables and may be ignored.

-- One row per request "what is everybody doing?". Ids are never used twice.
CREATE TABLE snapshots (
    snapshot_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    requested_at_ns INTEGER NOT NULL,
    completed_at_ns INTEGER,             -- NULL: still being gathered
    timeout_ms      INTEGER NOT NULL,

    capture_at_ns   INTEGER,             -- the instant at which all processes were asked to cut
    skew_ms         REAL,                -- latest minus earliest captured_at_ns of those that told
    interrupted     TEXT                 -- why this snapshot is not whole: the daemon died or was stopped
);

-- Whom we asked, and how each one ended.
CREATE TABLE snapshot_processes (
    snapshot_id INTEGER NOT NULL REFERENCES snapshots ON DELETE CASCADE,
    process     TEXT    NOT NULL,        -- the name the process gives itself
    pid         INTEGER,                 -- NULL: it never said
    proc_key    TEXT    NOT NULL,        -- name-pid, made unique among the processes of a snapshot
    status      TEXT    NOT NULL CHECK (status IN ('responded', 'timeout', 'disconnected', 'error')),
    recv_at_ns  INTEGER,                 -- when its reply was complete
    error_text  TEXT,

    captured_at_ns INTEGER,              -- when the process took its cut, by its own clock
    capture_ns     INTEGER,              -- how long the cut took
    reply_bytes    INTEGER,
    nodes          INTEGER NOT NULL DEFAULT 0,
    edges          INTEGER NOT NULL DEFAULT 0,
    agent          TEXT,                 -- e.g. peeps-python/0.1.0; NULL: it did not say hello
    host           TEXT,
    connection_id  INTEGER,
    PRIMARY KEY (snapshot_id, proc_key)
) WITHOUT ROWID;

-- What exists in a process: tasks, threads, locks, queues, sockets, ...
CREATE TABLE nodes (
    snapshot_id INTEGER NOT NULL REFERENCES snapshots ON DELETE CASCADE,
    id          TEXT    NOT NULL,        -- {kind}:{unique}, the same in two snapshots for the same thing
    kind        TEXT    NOT NULL,
    process     TEXT    NOT NULL,
    proc_key    TEXT    NOT NULL,
    attrs_json  TEXT    NOT NULL,        -- a JSON object
    label       TEXT,
    PRIMARY KEY (snapshot_id, id)
) WITHOUT ROWID;

-- How things relate. needs: src cannot go on until dst does something.
CREATE TABLE edges (
    snapshot_id INTEGER NOT NULL REFERENCES snapshots ON DELETE CASCADE,
    src_id      TEXT    NOT NULL,
    dst_id      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,        -- needs, touches, spawned, closed_by
    attrs_json  TEXT    NOT NULL,
    PRIMARY KEY (snapshot_id, src_id, dst_id, kind)
) WITHOUT ROWID;

CREATE INDEX edges_by_dst ON edges (snapshot_id, dst_id);

-- Edges with an end that no reply contained, and why.
CREATE TABLE unresolved_edges (
    snapshot_id         INTEGER NOT NULL REFERENCES snapshots ON DELETE CASCADE,
    src_id              TEXT    NOT NULL,
    dst_id              TEXT    NOT NULL,
    missing_side        TEXT    NOT NULL CHECK (missing_side IN ('src', 'dst')),
    reason              TEXT    NOT NULL CHECK (reason IN
                            ('process_timeout', 'process_disconnected', 'process_error', 'no_such_node')),
    referenced_proc_key TEXT,            -- whose node it would be, where the id tells
    attrs_json          TEXT    NOT NULL,

    kind                TEXT    NOT NULL DEFAULT 'needs',
    PRIMARY KEY (snapshot_id, src_id, dst_id, kind, missing_side)
) WITHOUT ROWID;

-- Everything that was received and could not be used. A flood of one sort is one row with a count.
CREATE TABLE ingest_events (
    event_id    INTEGER PRIMARY KEY,
    event_at_ns INTEGER NOT NULL,
    snapshot_id INTEGER,
    process     TEXT,
    pid         INTEGER,
    proc_key    TEXT,
    event_kind  TEXT    NOT NULL,
    detail      TEXT    NOT NULL,

    count       INTEGER NOT NULL DEFAULT 1,
    last_at_ns  INTEGER                  -- when it last happened, if more than once
);

CREATE INDEX ingest_events_by_time ON ingest_events (event_at_ns);

-- Answers as views. Each starts with snapshot_id and may be narrowed by any column; give them
-- a snapshot_id (over HTTP it is set for you), or they read every snapshot. Rows are produced as
-- they are read, so LIMIT is cheap. How to use them: docs/sql-cookbook.md.

-- Who needs what, with names and places. A side that no reply contained has a missing_reason.
CREATE VIEW waits AS
SELECT e.snapshot_id,
       e.src_id                                               AS waiter_id,
       w.kind                                                 AS waiter_kind,
       coalesce(json_extract(w.attrs_json, '$.name'), w.label, e.src_id) AS waiter,
       w.proc_key                                             AS waiter_process,
       json_extract(w.attrs_json, '$.state')                  AS waiter_state,
       json_extract(w.attrs_json, '$."ctx.location"')         AS waiter_location,
       e.dst_id                                               AS needs_id,
       n.kind                                                 AS needs_kind,
       coalesce(json_extract(n.attrs_json, '$.name'), n.label, e.dst_id) AS needs,
       n.proc_key                                             AS needs_process,
       json_extract(n.attrs_json, '$.state')                  AS needs_state,
       json_extract(n.attrs_json, '$."ctx.location"')         AS needs_location,
       json_extract(e.attrs_json, '$.inferred')               AS inferred,
       (SELECT u.reason FROM unresolved_edges u
         WHERE u.snapshot_id = e.snapshot_id AND u.src_id = e.src_id
           AND u.dst_id = e.dst_id AND u.kind = e.kind)        AS missing_reason
  FROM edges e
  LEFT JOIN nodes w ON w.snapshot_id = e.snapshot_id AND w.id = e.src_id
  LEFT JOIN nodes n ON n.snapshot_id = e.snapshot_id AND n.id = e.dst_id
 WHERE e.kind = 'needs';

-- Everything a node waits for, directly and through others: ask WHERE start_id = '...'.
-- Safe on cycles: each node comes once, at its smallest depth; at most 32 deep, 4,000 steps.
CREATE VIEW wait_chains AS
SELECT s.snapshot_id,
       s.id                                                   AS start_id,
       json_extract(step.value, '$[1]')                       AS depth,
       json_extract(step.value, '$[0]')                       AS node_id,
       n.kind,
       coalesce(json_extract(n.attrs_json, '$.name'), n.label,
                json_extract(step.value, '$[0]'))             AS name,
       n.proc_key                                             AS process,
       json_extract(n.attrs_json, '$.state')                  AS state,
       json_extract(n.attrs_json, '$."ctx.location"')         AS location,
       NOT EXISTS (SELECT 1 FROM edges o
                    WHERE o.snapshot_id = s.snapshot_id AND o.kind = 'needs'
                      AND o.src_id = json_extract(step.value, '$[0]')) AS is_end
  FROM nodes s
  JOIN json_each((
         WITH RECURSIVE chain (id, depth) AS (
           SELECT s.id, 0
            UNION
           SELECT e.dst_id, chain.depth + 1
             FROM chain
             JOIN edges e ON e.snapshot_id = s.snapshot_id AND e.src_id = chain.id
                         AND e.kind = 'needs'
            WHERE chain.depth < 32
            LIMIT 4000)
         SELECT json_group_array(json_array(id, depth))
           FROM (SELECT id, min(depth) AS depth FROM chain GROUP BY id ORDER BY 2, 1))) step
  LEFT JOIN nodes n ON n.snapshot_id = s.snapshot_id
                   AND n.id = json_extract(step.value, '$[0]')
 WHERE EXISTS (SELECT 1 FROM edges first
                WHERE first.snapshot_id = s.snapshot_id AND first.src_id = s.id
                  AND first.kind = 'needs');

-- Everybody who waits for a node, directly and through others: ask WHERE blocker_id = '...'.
CREATE VIEW waiters_behind AS
SELECT b.snapshot_id,
       b.id                                                   AS blocker_id,
       json_extract(step.value, '$[1]')                       AS depth,
       json_extract(step.value, '$[0]')                       AS waiter_id,
       n.kind,
       coalesce(json_extract(n.attrs_json, '$.name'), n.label,
                json_extract(step.value, '$[0]'))             AS name,
       n.proc_key                                             AS process,
       json_extract(n.attrs_json, '$."ctx.location"')         AS location
  FROM nodes b
  JOIN json_each((
         WITH RECURSIVE behind (id, depth) AS (
           SELECT b.id, 0
            UNION
           SELECT e.src_id, behind.depth + 1
             FROM behind
             JOIN edges e ON e.snapshot_id = b.snapshot_id AND e.dst_id = behind.id
                         AND e.kind = 'needs'
            WHERE behind.depth < 32
            LIMIT 4000)
         SELECT json_group_array(json_array(id, depth))
           FROM (SELECT id, min(depth) AS depth FROM behind GROUP BY id ORDER BY 2, 1))) step
  LEFT JOIN nodes n ON n.snapshot_id = b.snapshot_id
                   AND n.id = json_extract(step.value, '$[0]')
 WHERE json_extract(step.value, '$[1]') > 0;

-- What others wait for, with how many wait directly. waits_itself = 0: a root.
-- `peeps blockers` and GET /api/snapshots/{id}/blockers also count those who wait through others.
CREATE VIEW blockers AS
SELECT b.snapshot_id,
       b.dst_id                                               AS blocker_id,
       n.kind,
       coalesce(json_extract(n.attrs_json, '$.name'), n.label, b.dst_id) AS name,
       n.proc_key                                             AS process,
       json_extract(n.attrs_json, '$.state')                  AS state,
       json_extract(n.attrs_json, '$."ctx.location"')         AS location,
       b.waiters,
       EXISTS (SELECT 1 FROM edges o
                WHERE o.snapshot_id = b.snapshot_id AND o.src_id = b.dst_id
                  AND o.kind = 'needs')                       AS waits_itself
  FROM (SELECT snapshot_id, dst_id, count(*) AS waiters
          FROM edges WHERE kind = 'needs' GROUP BY snapshot_id, dst_id) b
  LEFT JOIN nodes n ON n.snapshot_id = b.snapshot_id AND n.id = b.dst_id;

-- Processes that were asked and did not answer, and how many edges lead to them.
CREATE VIEW unanswered AS
SELECT p.snapshot_id, p.proc_key, p.process, p.pid, p.status, p.error_text,
       (SELECT count(*) FROM unresolved_edges u
         WHERE u.snapshot_id = p.snapshot_id
           AND u.referenced_proc_key = p.proc_key)            AS edges_into_it
  FROM snapshot_processes p
 WHERE p.status <> 'responded';

-- Edges whose two ends are in two processes that both answered.
CREATE VIEW cross_process_edges AS
SELECT e.snapshot_id, e.kind,
       e.src_id, s.kind                                       AS src_kind,
       coalesce(json_extract(s.attrs_json, '$.name'), s.label, e.src_id) AS src,
       s.proc_key                                             AS src_process,
       e.dst_id, d.kind                                       AS dst_kind,
       coalesce(json_extract(d.attrs_json, '$.name'), d.label, e.dst_id) AS dst,
       d.proc_key                                             AS dst_process
  FROM edges e
  JOIN nodes s ON s.snapshot_id = e.snapshot_id AND s.id = e.src_id
  JOIN nodes d ON d.snapshot_id = e.snapshot_id AND d.id = e.dst_id
 WHERE s.proc_key <> d.proc_key;
