-- Times are microseconds since 1970, ids are the 16 bytes of a UUID, tokens are base64url as Fernet writes them.

-- Everybody this app knows of: its own users and those of its peers.
CREATE TABLE users (
    id            BLOB NOT NULL PRIMARY KEY,
    app           TEXT NOT NULL,
    username      TEXT NOT NULL,
    username_key  TEXT NOT NULL,
    first_name    TEXT NOT NULL,
    last_name     TEXT NOT NULL,
    -- Whether the user's own app has vouched for the id, or another app has merely named it.
    vouched       BOOLEAN NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (app, username_key)
) WITHOUT ROWID;

-- What only this app knows of its own users.
CREATE TABLE accounts (
    user_id        BLOB NOT NULL PRIMARY KEY REFERENCES users (id),
    email_hash     BLOB NOT NULL UNIQUE,
    email          TEXT NOT NULL,
    email_key_id   INTEGER NOT NULL,
    password_hash  TEXT NOT NULL,
    role           SMALLINT NOT NULL,
    is_active      BOOLEAN NOT NULL,
    created_at     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sessions (
    id          BLOB NOT NULL PRIMARY KEY,
    user_id     BLOB NOT NULL REFERENCES accounts (user_id),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    ended_at    INTEGER
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Refresh tokens by hash. A spent one keeps the salt from which its successor was derived.
CREATE TABLE refresh_tokens (
    hash        BLOB NOT NULL PRIMARY KEY,
    session_id  BLOB NOT NULL REFERENCES sessions (id),
    salt        BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    spent_at    INTEGER
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- Keys that the app makes for itself, sealed with the ring.
CREATE TABLE secrets (
    name    TEXT NOT NULL PRIMARY KEY,
    value   TEXT NOT NULL,
    key_id  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE conversations (
    id          BLOB NOT NULL PRIMARY KEY,
    kind        SMALLINT NOT NULL,
    title       TEXT,
    title_at    INTEGER NOT NULL,
    title_app   TEXT NOT NULL,
    created_by  BLOB NOT NULL REFERENCES users (id) ON UPDATE CASCADE,
    created_at  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE participants (
    conversation_id  BLOB NOT NULL REFERENCES conversations (id),
    user_id          BLOB NOT NULL REFERENCES users (id) ON UPDATE CASCADE,
    role             SMALLINT NOT NULL,
    joined_at        INTEGER NOT NULL,
    left_at          INTEGER,
    changed_at       INTEGER NOT NULL,
    changed_app      TEXT NOT NULL,
    -- The read position: messages up to this moment have been read.
    read_at          INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
CREATE INDEX participants_by_user ON participants (user_id, conversation_id);

-- No foreign keys: the hot path checks what they would check, and states arrive in any order.
CREATE TABLE messages (
    id               BLOB NOT NULL PRIMARY KEY,
    conversation_id  BLOB NOT NULL,
    sender_id        BLOB NOT NULL,
    parent_id        BLOB,
    content          TEXT,
    key_id           INTEGER,
    revision         INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    edited_at        INTEGER,
    deleted_at       INTEGER,
    status           SMALLINT NOT NULL,
    status_reason    TEXT,
    -- How many peers have not yet stored it.
    pending          SMALLINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX messages_by_conversation ON messages (conversation_id, created_at, id, sender_id);

-- The numbered stream of events for each peer.
CREATE TABLE streams (
    peer      TEXT NOT NULL PRIMARY KEY,
    stream    BLOB NOT NULL,
    last_seq  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE outbox (
    peer        TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    kind        SMALLINT NOT NULL,
    subject     BLOB NOT NULL,
    trace       BLOB,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (peer, seq)
) WITHOUT ROWID;

-- Which process sends to a peer; a higher fence shuts out whoever held it before.
CREATE TABLE leases (
    peer   TEXT NOT NULL PRIMARY KEY,
    owner  BLOB NOT NULL,
    until  INTEGER NOT NULL,
    fence  INTEGER NOT NULL
) WITHOUT ROWID;

-- How far the stream of each peer has been settled here.
CREATE TABLE positions (
    origin    TEXT NOT NULL PRIMARY KEY,
    stream    BLOB NOT NULL,
    position  INTEGER NOT NULL
) WITHOUT ROWID;

-- Events of peers that were refused, so that a repeat is answered as the first delivery was.
CREATE TABLE refusals (
    origin  TEXT NOT NULL,
    stream  BLOB NOT NULL,
    seq     INTEGER NOT NULL,
    code    TEXT NOT NULL,
    PRIMARY KEY (origin, stream, seq)
) WITHOUT ROWID;
