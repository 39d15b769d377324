-- A random number, written anew with each change of the keys: a server whose keys are of another one reads them again.
ALTER TABLE installation ADD COLUMN key_set INTEGER NOT NULL DEFAULT 0;
-- The incarnation that the last line was written in. A log that goes on in another one may have lost its last moments.
ALTER TABLE installation ADD COLUMN known_as INTEGER;
-- No epoch is raised to less: what a lost raise may have given out is never given again.
ALTER TABLE installation ADD COLUMN epoch_floor INTEGER NOT NULL DEFAULT 0;
-- The clock that deletion goes by.
ALTER TABLE installation ADD COLUMN deletion INTEGER NOT NULL DEFAULT 0;
-- How far the ends of a log that stands elsewhere have reached the sessions of this file.
ALTER TABLE installation ADD COLUMN mark_incarnation INTEGER;
ALTER TABLE installation ADD COLUMN mark_sequence INTEGER;

-- The incarnations that the log has had before, each with its last line that is still here.
CREATE TABLE lineage (
    incarnation INTEGER PRIMARY KEY,
    last        INTEGER NOT NULL
) STRICT;

-- Of a session that was exchanged: the one that took its place, in the form of `Succession`, which begins with its id.
ALTER TABLE log ADD COLUMN successor BLOB;
CREATE INDEX log_by_successor ON log (substr(successor, 1, 16)) WHERE successor IS NOT NULL;
