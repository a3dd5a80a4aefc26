-- Events know their trace.
ALTER TABLE events ADD COLUMN trace TEXT NOT NULL DEFAULT '';
CREATE INDEX events_by_trace ON events (trace, at) WHERE trace != '';
