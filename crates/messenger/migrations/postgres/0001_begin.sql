-- Times are microseconds since 1970, ids are UUIDs, tokens are base64url as Fernet writes them.

-- Everybody this app knows of: its own users and those of its peers.
CREATE TABLE users (
    id            UUID NOT NULL PRIMARY KEY,
    app           TEXT NOT NULL,
    username      TEXT NOT NULL,
    username_key  TEXT NOT NULL,
    first_name    TEXT NOT NULL,
    last_name     TEXT NOT NULL,
    -- Whether the user's own app has vouched for the id, or another app has merely named it.
    vouched       BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    UNIQUE (app, username_key)
);

-- What only this app knows of its own users.
CREATE TABLE accounts (
    user_id        UUID NOT NULL PRIMARY KEY REFERENCES users (id),
    email_hash     BYTEA NOT NULL UNIQUE,
    email          TEXT NOT NULL,
    email_key_id   BIGINT NOT NULL,
    password_hash  TEXT NOT NULL,
    role           SMALLINT NOT NULL,
    is_active      BOOLEAN NOT NULL,
    created_at     BIGINT NOT NULL
);

CREATE TABLE sessions (
    id          UUID NOT NULL PRIMARY KEY,
    user_id     UUID NOT NULL REFERENCES accounts (user_id),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Refresh tokens by hash. A spent one keeps the salt from which its successor was derived.
CREATE TABLE refresh_tokens (
    hash        BYTEA NOT NULL PRIMARY KEY,
    session_id  UUID NOT NULL REFERENCES sessions (id),
    salt        BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    spent_at    BIGINT
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- Keys that the app makes for itself, sealed with the ring.
CREATE TABLE secrets (
    name    TEXT NOT NULL PRIMARY KEY,
    value   TEXT NOT NULL,
    key_id  BIGINT NOT NULL
);

CREATE TABLE conversations (
    id          UUID NOT NULL PRIMARY KEY,
    kind        SMALLINT NOT NULL,
    title       TEXT,
    title_at    BIGINT NOT NULL,
    title_app   TEXT NOT NULL,
    created_by  UUID NOT NULL REFERENCES users (id) ON UPDATE CASCADE,
    created_at  BIGINT NOT NULL
);

CREATE TABLE participants (
    conversation_id  UUID NOT NULL REFERENCES conversations (id),
    user_id          UUID NOT NULL REFERENCES users (id) ON UPDATE CASCADE,
    role             SMALLINT NOT NULL,
    joined_at        BIGINT NOT NULL,
    left_at          BIGINT,
    changed_at       BIGINT NOT NULL,
    changed_app      TEXT NOT NULL,
    -- The read position: messages up to this moment have been read.
    read_at          BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX participants_by_user ON participants (user_id, conversation_id);

-- No foreign keys: the hot path checks what they would check, and states arrive in any order.
CREATE TABLE messages (
    id               UUID NOT NULL PRIMARY KEY,
    conversation_id  UUID NOT NULL,
    sender_id        UUID NOT NULL,
    parent_id        UUID,
    content          TEXT,
    key_id           BIGINT,
    revision         BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    edited_at        BIGINT,
    deleted_at       BIGINT,
    status           SMALLINT NOT NULL,
    status_reason    TEXT,
    -- How many peers have not yet stored it.
    pending          SMALLINT NOT NULL
);
CREATE INDEX messages_by_conversation ON messages (conversation_id, created_at, id, sender_id);

-- The numbered stream of events for each peer.
CREATE TABLE streams (
    peer      TEXT NOT NULL PRIMARY KEY,
    stream    UUID NOT NULL,
    last_seq  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL
);

CREATE TABLE outbox (
    peer        TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    kind        SMALLINT NOT NULL,
    subject     UUID NOT NULL,
    trace       UUID,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (peer, seq)
);

-- Which process sends to a peer; a higher fence shuts out whoever held it before.
CREATE TABLE leases (
    peer   TEXT NOT NULL PRIMARY KEY,
    owner  UUID NOT NULL,
    until  BIGINT NOT NULL,
    fence  BIGINT NOT NULL
);

-- How far the stream of each peer has been settled here.
CREATE TABLE positions (
    origin    TEXT NOT NULL PRIMARY KEY,
    stream    UUID NOT NULL,
    position  BIGINT NOT NULL
);

-- Events of peers that were refused, so that a repeat is answered as the first delivery was.
CREATE TABLE refusals (
    origin  TEXT NOT NULL,
    stream  UUID NOT NULL,
    seq     BIGINT NOT NULL,
    code    TEXT NOT NULL,
    PRIMARY KEY (origin, stream, seq)
);
