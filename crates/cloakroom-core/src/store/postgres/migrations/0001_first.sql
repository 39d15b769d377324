-- Names that order or are looked up by equality are compared byte by byte (COLLATE "C"): no locale takes two for one, and
-- no change of the system's locales damages an index.

-- Which release's tables these are. A release reads newer tables as long as its own version is at least min_reader.
CREATE TABLE cloakroom_schema (
    one        smallint PRIMARY KEY CHECK (one = 1),
    version    integer NOT NULL,
    min_reader integer NOT NULL
);

-- What the store knows of itself; one row.
CREATE TABLE cloakroom_installation (
    one          smallint PRIMARY KEY CHECK (one = 1),
    id           bytea NOT NULL CHECK (octet_length(id) = 16),
    secret_check bytea
);

-- The head of the revocation log: one row, which whoever writes the log locks first. Much room is left on its page, so that
-- its many versions stay there.
CREATE TABLE cloakroom_log_head (
    one         smallint PRIMARY KEY CHECK (one = 1),
    -- A part of the log's incarnation; the cluster, its timeline and this table are the others.
    incarnation bigint NOT NULL,
    -- The last line that the log has had, and the last one that was removed from it.
    sequence    bigint NOT NULL DEFAULT 0,
    pruned      bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

-- How far the ends in the log have reached the sessions of this database, whichever database has the log.
CREATE TABLE cloakroom_watermark (
    one         smallint PRIMARY KEY CHECK (one = 1),
    incarnation bigint NOT NULL,
    sequence    bigint NOT NULL
) WITH (fillfactor = 10);

-- Moments are milliseconds since 1970.
CREATE TABLE cloakroom_accounts (
    id       bytea PRIMARY KEY CHECK (octet_length(id) = 16),
    -- The canonical form; typed is what the person wrote.
    email    text COLLATE "C" NOT NULL UNIQUE,
    typed    text NOT NULL,
    name     text,
    disabled boolean NOT NULL,
    epoch    bigint NOT NULL,
    created  bigint NOT NULL,
    password text
) WITH (fillfactor = 90);

-- No column that changes is indexed, and each page keeps a little room: so a rotation or an activity is written beside what
-- it replaces, and touches no index.
CREATE TABLE cloakroom_sessions (
    sid         bytea PRIMARY KEY CHECK (octet_length(sid) = 16),
    account     bytea NOT NULL CHECK (octet_length(account) = 16),
    created     bigint NOT NULL,
    expires     bigint NOT NULL,
    last_active bigint NOT NULL,
    rotated     bigint NOT NULL,
    generation  bigint NOT NULL,
    epoch       bigint NOT NULL,
    app_epoch   bigint NOT NULL,
    auth_time   bigint NOT NULL,
    method      smallint NOT NULL,
    amr         smallint NOT NULL,
    app         bytea NOT NULL,
    client      bytea NOT NULL
) WITH (
    fillfactor = 85,
    -- What a sweep has removed is cleared away when it is a twentieth of the table, and not a fifth.
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 1
);
CREATE INDEX cloakroom_sessions_by_account ON cloakroom_sessions (account, created, sid);
CREATE INDEX cloakroom_sessions_by_expiry ON cloakroom_sessions (expires);

-- The revocation log.
CREATE TABLE cloakroom_log (
    sequence bigint PRIMARY KEY,
    -- 1: a session, 2: an account below an epoch, 3: an app below an epoch, 4: a key.
    kind     smallint NOT NULL CHECK (kind BETWEEN 1 AND 4),
    -- The session's or the account's id, the app's or the key's name.
    subject  bytea NOT NULL,
    -- Of an app only: one method, or 0 for all.
    method   smallint NOT NULL DEFAULT 0,
    epoch    bigint NOT NULL DEFAULT 0,
    at       bigint NOT NULL,
    until    bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
CREATE INDEX cloakroom_log_by_until ON cloakroom_log (until);
CREATE INDEX cloakroom_log_by_session ON cloakroom_log (subject) WHERE kind = 1;

-- How often everything of an app was ended; method 0: of all methods. The counter is one per app.
CREATE TABLE cloakroom_app_ends (
    app    text COLLATE "C" NOT NULL,
    method smallint NOT NULL,
    epoch  bigint NOT NULL,
    PRIMARY KEY (app, method)
);

CREATE TABLE cloakroom_keys (
    kid       text COLLATE "C" PRIMARY KEY,
    purpose   text COLLATE "C" NOT NULL,
    ordinal   bigint NOT NULL,
    wrapped   bytea NOT NULL,
    created   bigint NOT NULL,
    used_from bigint NOT NULL,
    killed    bigint,
    UNIQUE (purpose, ordinal)
);

CREATE TABLE cloakroom_services (
    id          text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    created     bigint NOT NULL
);

CREATE TABLE cloakroom_audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         bigint NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    account    bytea,
    session    bytea,
    app        text COLLATE "C",
    address    text,
    -- The address's network: an IPv4 address, or the first half of an IPv6 one.
    network    text COLLATE "C",
    user_agent text,
    reason     text,
    detail     text
);
CREATE INDEX cloakroom_audit_by_account ON cloakroom_audit (account) WHERE account IS NOT NULL;
CREATE INDEX cloakroom_audit_by_session ON cloakroom_audit (session) WHERE session IS NOT NULL;
CREATE INDEX cloakroom_audit_by_network ON cloakroom_audit (account, network) WHERE kind = 'signed_in';
