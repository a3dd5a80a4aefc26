-- Batches that are not counted and not offered any more: refused for good, or not what was sealed. Each under the
-- identity that it had, for somebody to look at.
CREATE TABLE dead_letter (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch    TEXT    NOT NULL,
    service  TEXT    NOT NULL,
    kind     INTEGER NOT NULL,           -- 0 windows, 1 events
    seq      INTEGER NOT NULL,
    digest   BLOB    NOT NULL,
    broken   INTEGER NOT NULL,           -- 1 if the body is not what was sealed: it can't be offered
    reason   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    asked_at INTEGER,                    -- when somebody asked to offer it again; NULL until then, and with an answer
    offered  INTEGER NOT NULL DEFAULT 0, -- 1 while it waits for that answer
    body     BLOB    NOT NULL,
    UNIQUE (epoch, service, kind, seq)
) STRICT;
INSERT INTO dead_letter (epoch, service, kind, seq, digest, broken, reason, at, body)
    SELECT s.epoch, s.service, b.kind, b.seq, b.digest, 0, b.refused, b.receipted_at, b.body
    FROM batch b JOIN stream s ON s.id = b.stream WHERE b.refused IS NOT NULL;
