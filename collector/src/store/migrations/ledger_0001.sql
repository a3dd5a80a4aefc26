-- What the engine must find again after a restart, each row under its own key; the body is JSON. Rows that are not
-- live are history.
CREATE TABLE state (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    live INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX state_by_age ON state (live, updated_at);

-- The greatest numbers ever given out: history may go, numbers never come again.
CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) WITHOUT ROWID;

-- Every delivery with its latest attempt. `alerts` and `fingerprints` are JSON lists; `body` is the whole delivery
-- as long as it may have to be sent again.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL,
    receiver TEXT NOT NULL,
    integration TEXT NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    next_at INTEGER,
    alerts TEXT NOT NULL,
    fingerprints TEXT NOT NULL,
    body TEXT
);
CREATE INDEX deliveries_by_time ON deliveries (at, id);
CREATE INDEX deliveries_by_receiver ON deliveries (receiver, at, id);
CREATE INDEX deliveries_under_way ON deliveries (id) WHERE body IS NOT NULL;

-- Every attempt as it was reported.
CREATE TABLE attempts (
    delivery INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    PRIMARY KEY (delivery, attempt)
) WITHOUT ROWID;
