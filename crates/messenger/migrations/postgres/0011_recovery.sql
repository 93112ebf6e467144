-- This database was restored from a backup of a moment, and the peer is to tell again what has happened since.
CREATE TABLE restores (
    peer   TEXT NOT NULL PRIMARY KEY,
    id     UUID NOT NULL,
    since  BIGINT NOT NULL,
    -- Whether the peer has been asked. The row stays until it has told everything, and so long what it gives back is taken.
    asked  BOOLEAN NOT NULL
);

-- The peer was restored from a backup; it is being told again what has happened since. Up to which message of which
-- conversation, in the order of their ids, that has been done.
CREATE TABLE recoveries (
    peer             TEXT NOT NULL PRIMARY KEY,
    id               UUID NOT NULL,
    since            BIGINT NOT NULL,
    conversation_id  UUID,
    told_at          BIGINT NOT NULL,
    message_id       UUID NOT NULL
);
