-- What has happened that a client may want to hear of: one row for each event, not for each who hears it. One
-- connection writes, so the order of seq is that of the commits.
CREATE TABLE event_log (
    seq              INTEGER NOT NULL PRIMARY KEY,
    kind             SMALLINT NOT NULL,
    conversation_id  BLOB NOT NULL,
    -- The message or the conversation.
    subject          BLOB NOT NULL,
    -- Whom alone it concerns; everybody in the conversation, if absent.
    user_id          BLOB,
    created_at       INTEGER NOT NULL
);
-- The beginning; as the newest row is never pruned, the log is never empty, and every place in it is that of a row.
INSERT INTO event_log (kind, conversation_id, subject, created_at)
VALUES (0, zeroblob(16), zeroblob(16), CAST(strftime('%s', 'now') AS INTEGER) * 1000000);

-- What opens one socket, by hash.
CREATE TABLE socket_tickets (
    hash        BLOB NOT NULL PRIMARY KEY,
    session_id  BLOB NOT NULL,
    expires_at  INTEGER NOT NULL
) WITHOUT ROWID;

-- For those who must know at once which sessions have ended.
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;
