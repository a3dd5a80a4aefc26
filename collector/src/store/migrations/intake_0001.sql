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

-- Counts. `start` is in whole seconds; `part` only tells rows of one window apart.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    identity BLOB NOT NULL UNIQUE,
    service TEXT NOT NULL,
    signal TEXT NOT NULL,
    unit TEXT NOT NULL,
    labels TEXT NOT NULL,
    seen_day INTEGER NOT NULL
);
CREATE INDEX series_by_signal ON series (signal, service);
CREATE INDEX series_by_day ON series (seen_day);
CREATE TABLE journal (
    start INTEGER NOT NULL,
    series INTEGER NOT NULL,
    part INTEGER NOT NULL,
    width INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (start, series, part)
) WITHOUT ROWID;

-- `block` is `start` divided by the tier's block length: retention drops whole blocks, a query seeks by series in each.
CREATE TABLE rollup_10 (
    block INTEGER NOT NULL,
    series INTEGER NOT NULL,
    start INTEGER NOT NULL,
    width INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (block, series, start)
) WITHOUT ROWID;
CREATE TABLE rollup_60 (
    block INTEGER NOT NULL,
    series INTEGER NOT NULL,
    start INTEGER NOT NULL,
    width INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (block, series, start)
) WITHOUT ROWID;
CREATE TABLE rollup_3600 (
    block INTEGER NOT NULL,
    series INTEGER NOT NULL,
    start INTEGER NOT NULL,
    width INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (block, series, start)
) WITHOUT ROWID;
-- From which second on each tier is kept. Only ever goes forward.
CREATE TABLE tiers (
    width INTEGER PRIMARY KEY,
    kept_from INTEGER NOT NULL
);
INSERT INTO tiers VALUES (10, -9223372036854775808), (60, -9223372036854775808), (3600, -9223372036854775808);

CREATE TABLE slo_counts (
    slo TEXT NOT NULL,
    definition INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    good INTEGER NOT NULL,
    total INTEGER NOT NULL,
    unjudged INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    PRIMARY KEY (slo, definition, bucket)
) WITHOUT ROWID;

-- Sources: what they did in all, and how far their files were read.
CREATE TABLE source_totals (
    agent TEXT NOT NULL,
    source TEXT NOT NULL,
    read INTEGER NOT NULL,
    clamped INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    bytes_abandoned INTEGER NOT NULL,
    bytes_unknown INTEGER NOT NULL,
    truncations INTEGER NOT NULL,
    events INTEGER NOT NULL,
    events_dropped INTEGER NOT NULL,
    overflowed INTEGER NOT NULL,
    PRIMARY KEY (agent, source)
) WITHOUT ROWID;
CREATE TABLE source_skipped (
    agent TEXT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    lines INTEGER NOT NULL,
    PRIMARY KEY (agent, source, reason)
) WITHOUT ROWID;
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

-- What the intake remembers of an agent; the body is its own.
CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    updated_at INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
