-- Whether a dead letter lies behind the fence of a lost spool: fences are forgotten, and it must not be counted then either.
ALTER TABLE dead_letters ADD COLUMN fenced INTEGER NOT NULL DEFAULT 0;
UPDATE dead_letters SET fenced = 1 WHERE reason LIKE 'its spool was lost, %';
