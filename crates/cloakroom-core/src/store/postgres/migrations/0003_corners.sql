ALTER TABLE cloakroom_log_head
    -- A random number, written anew with each change of the keys: a server whose keys are of another one reads them again.
    ADD COLUMN key_set     bigint NOT NULL DEFAULT 0,
    -- The incarnation that the last line was written in. A log that goes on in another one may have lost its last moments.
    ADD COLUMN known_as    bigint,
    -- No epoch is raised to less: what a lost raise may have given out is never given again.
    ADD COLUMN epoch_floor bigint NOT NULL DEFAULT 0,
    -- The clock that deletion goes by.
    ADD COLUMN deletion    bigint NOT NULL DEFAULT 0;

-- The incarnations that the log has had before, each with its last line that is still here.
CREATE TABLE cloakroom_lineage (
    incarnation bigint PRIMARY KEY,
    last        bigint NOT NULL
);

-- Of a session that was exchanged: the one that took its place, in the form of `Succession`, which begins with its id.
ALTER TABLE cloakroom_log ADD COLUMN successor bytea;
CREATE INDEX cloakroom_log_by_successor ON cloakroom_log (substr(successor, 1, 16)) WHERE successor IS NOT NULL;
