-- What a source reads, so that it is known again under another name, and since when it is not configured any more.
CREATE TABLE configured (
    name      TEXT PRIMARY KEY,
    reads     TEXT NOT NULL,               -- its kind, then what it reads; '' if nobody has said
    looked_at INTEGER,                     -- NULL until it has looked
    gone_at   INTEGER                      -- NULL while it is configured
) STRICT;
INSERT INTO configured SELECT name, 'tail', looked_at, NULL FROM source ORDER BY rowid;
DROP TABLE source;
ALTER TABLE configured RENAME TO source;
