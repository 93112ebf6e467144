-- How the process that sends to a peer last fared with it, for whoever asks any other.
CREATE TABLE peers (
    peer       TEXT NOT NULL PRIMARY KEY,
    -- When it last took a request.
    seen_at    INTEGER,
    -- When it last did not, and why, as a code.
    failed_at  INTEGER,
    error      TEXT,
    -- When it will be tried again, if the last attempt has failed.
    retry_at   INTEGER
) WITHOUT ROWID;

-- When a message was given up; not known of those before.
ALTER TABLE failures ADD COLUMN failed_at INTEGER;
