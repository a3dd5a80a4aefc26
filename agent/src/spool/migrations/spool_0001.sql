CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- Streams of this spool; next_seq outlives the batches.
CREATE TABLE stream (
    id         INTEGER PRIMARY KEY,
    epoch      TEXT    NOT NULL,
    service    TEXT    NOT NULL,
    kind       INTEGER NOT NULL,           -- 0 windows, 1 events
    next_seq   INTEGER NOT NULL,
    UNIQUE (epoch, service, kind)
) STRICT;

CREATE TABLE batch (
    row          INTEGER PRIMARY KEY AUTOINCREMENT,
    stream       INTEGER NOT NULL REFERENCES stream (id),
    kind         INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    digest       BLOB    NOT NULL,
    body         BLOB    NOT NULL,
    n_bytes      INTEGER NOT NULL,
    receipted_at INTEGER,                  -- NULL while it waits
    refused      TEXT,                     -- why the collector refused it for good
    UNIQUE (stream, seq)
) STRICT;
CREATE INDEX batch_waiting ON batch (kind, row) WHERE receipted_at IS NULL;
CREATE INDEX batch_kept ON batch (receipted_at) WHERE receipted_at IS NOT NULL;

CREATE TABLE source (name TEXT PRIMARY KEY, looked_at INTEGER NOT NULL) STRICT;
CREATE TABLE position (
    source TEXT    NOT NULL,
    inode  INTEGER NOT NULL,
    born   INTEGER NOT NULL,
    body   TEXT    NOT NULL,
    PRIMARY KEY (source, inode, born)
) STRICT;
