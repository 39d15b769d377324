-- What the store knows of itself; one row.
CREATE TABLE installation (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    id           BLOB NOT NULL CHECK (length(id) = 16),
    secret_check BLOB,
    -- One life of the revocation log; NULL in a backup, so that a restored log is another one.
    incarnation  INTEGER,
    -- The last line that the log has had, and the last one that was removed from it.
    sequence     INTEGER NOT NULL DEFAULT 0,
    pruned       INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Moments are milliseconds since 1970.
CREATE TABLE accounts (
    id        BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- The canonical form; `typed` is what the person wrote.
    email     TEXT NOT NULL UNIQUE,
    typed     TEXT NOT NULL,
    name      TEXT,
    disabled  INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    epoch     INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    password  TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    sid      BLOB PRIMARY KEY CHECK (length(sid) = 16),
    account  BLOB NOT NULL CHECK (length(account) = 16),
    created  INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    record   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account, created, sid);
CREATE INDEX sessions_by_expiry ON sessions (expires);

-- The revocation log.
CREATE TABLE log (
    sequence INTEGER PRIMARY KEY,
    -- 1: a session, 2: an account below an epoch, 3: an app below an epoch, 4: a key.
    kind     INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
    -- The session's or the account's id, the app's or the key's name.
    subject  BLOB NOT NULL,
    -- Of an app only: one method, or 0 for all.
    method   INTEGER NOT NULL DEFAULT 0,
    epoch    INTEGER NOT NULL DEFAULT 0,
    at       INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT;
CREATE INDEX log_by_until ON log (until);
CREATE INDEX log_by_session ON log (subject) WHERE kind = 1;

-- How often everything of an app was ended; method 0: of all methods. The counter is one per app.
CREATE TABLE app_ends (
    app    TEXT NOT NULL,
    method INTEGER NOT NULL,
    epoch  INTEGER NOT NULL,
    PRIMARY KEY (app, method)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    kid       TEXT PRIMARY KEY,
    purpose   TEXT NOT NULL,
    ordinal   INTEGER NOT NULL,
    wrapped   BLOB NOT NULL,
    created   INTEGER NOT NULL,
    used_from INTEGER NOT NULL,
    killed    INTEGER,
    UNIQUE (purpose, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    account    BLOB,
    session    BLOB,
    app        TEXT,
    address    TEXT,
    -- The address's network: an IPv4 address, or the first half of an IPv6 one.
    network    TEXT,
    user_agent TEXT,
    reason     TEXT,
    detail     TEXT
) STRICT;
CREATE INDEX audit_by_account ON audit (account) WHERE account IS NOT NULL;
CREATE INDEX audit_by_session ON audit (session) WHERE session IS NOT NULL;
CREATE INDEX audit_by_network ON audit (account, network) WHERE kind = 'signed_in';
