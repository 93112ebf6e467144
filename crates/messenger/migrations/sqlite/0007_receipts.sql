-- How far a reader has come with the messages of the users of one app in a conversation: moments of that app, which
-- only move forward. Delivered and seen are what others may know, each with where it stood before and when it moved.
CREATE TABLE receipts (
    conversation_id  BLOB NOT NULL REFERENCES conversations (id),
    origin           TEXT NOT NULL,
    user_id          BLOB NOT NULL REFERENCES users (id) ON UPDATE CASCADE,
    id               BLOB NOT NULL UNIQUE,
    delivered_from   INTEGER NOT NULL,
    delivered_to     INTEGER NOT NULL,
    delivered_at     INTEGER NOT NULL,
    seen_from        INTEGER NOT NULL,
    seen_to          INTEGER NOT NULL,
    seen_at          INTEGER NOT NULL,
    -- What the reader has read, whether or not others may know.
    read_to          INTEGER NOT NULL,
    -- Moves that the app of the messages has not been told of; where there are any, an event waits in the outbox.
    untold           INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, origin, user_id)
) WITHOUT ROWID;

-- Messages that will never reach the recipients of an app.
CREATE TABLE failures (
    message_id  BLOB NOT NULL,
    app         TEXT NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (message_id, app)
) WITHOUT ROWID;

-- Whether others are told what the user has read.
ALTER TABLE accounts ADD COLUMN read_receipts BOOLEAN NOT NULL DEFAULT TRUE;

-- Everything up to read_at has been read, and nothing after read_until; between the two, receipts.read_to decides.
ALTER TABLE participants ADD COLUMN read_until INTEGER NOT NULL DEFAULT 0;
UPDATE participants SET read_until = read_at;

-- The moment of the newest message of the peer that has arrived: nothing earlier of that peer is to come.
ALTER TABLE positions ADD COLUMN heard_to INTEGER NOT NULL DEFAULT 0;
UPDATE positions SET heard_to = COALESCE((SELECT max(m.created_at) FROM messages m
    JOIN users u ON u.id = m.sender_id WHERE u.app = positions.origin), 0);

-- Answers alone are in it, so that other messages cost nothing.
CREATE INDEX messages_by_parent ON messages (parent_id, created_at, id, conversation_id)
    WHERE parent_id IS NOT NULL;
