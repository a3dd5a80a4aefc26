-- Delivery: which batches were counted. Sets of numbers are written as `1-100,103,105-107`.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    agent TEXT NOT NULL,
    epoch_at INTEGER NOT NULL,
    epoch_random INTEGER NOT NULL,
    service TEXT NOT NULL,
    seen TEXT NOT NULL,
    dead TEXT NOT NULL,
    settled_below INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (agent, epoch_at, epoch_random, service)
);
CREATE TABLE digests (
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    reason TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (stream, seq)
);

-- `severity` is its rank, 0 info to 3 critical, so that "at least" is a comparison.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    service TEXT NOT NULL,
    agent TEXT NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    severity INTEGER NOT NULL,
    message TEXT NOT NULL,
    correlation TEXT NOT NULL,
    fields TEXT NOT NULL,
    truncated INTEGER NOT NULL
);
CREATE INDEX events_by_time ON events (at, id);
CREATE INDEX events_by_service ON events (service, at, id);
CREATE INDEX events_by_correlation ON events (correlation, at) WHERE correlation != '';

-- How far files were read when events were sealed. These cover nothing: counts do.
CREATE TABLE frontiers (
    agent TEXT NOT NULL,
    epoch_at INTEGER NOT NULL,
    epoch_random INTEGER NOT NULL,
    source TEXT NOT NULL,
    inode INTEGER NOT NULL,
    born INTEGER NOT NULL,
    path TEXT NOT NULL,
    begin_at INTEGER NOT NULL,
    max_to INTEGER NOT NULL,
    covered INTEGER NOT NULL,
    prefix_len INTEGER NOT NULL,
    prefix_hash INTEGER NOT NULL,
    guard_len INTEGER NOT NULL,
    guard_hash INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (agent, epoch_at, epoch_random, source, inode, born)
) WITHOUT ROWID;
CREATE INDEX frontiers_by_age ON frontiers (updated_at);
