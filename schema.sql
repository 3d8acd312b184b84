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
