-- Failed sign-ins, counted for all servers: a bucket of tokens a row. Not logged: after a crash all buckets are full, which
-- is what they would soon be anyway, and no attempt waits for the disk.
CREATE UNLOGGED TABLE cloakroom_limits (
    -- A byte for the limit, then a keyed hash: what is counted cannot be told from it.
    key        bytea PRIMARY KEY CHECK (octet_length(key) = 17),
    -- When all of the bucket's tokens will be back.
    full_at    bigint NOT NULL,
    -- Tokens that are taken and may come back early, and until when that can be.
    undecided  bigint NOT NULL,
    decided_at bigint NOT NULL,
    -- Whether the last who asked got a token.
    granted    boolean NOT NULL
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 1
);
