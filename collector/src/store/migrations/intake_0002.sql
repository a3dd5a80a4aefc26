-- What agents took out of events, and which events they held back.
ALTER TABLE source_totals ADD COLUMN redacted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE source_totals ADD COLUMN events_held_back INTEGER NOT NULL DEFAULT 0;
