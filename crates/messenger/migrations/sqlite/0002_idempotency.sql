-- Requests that may be repeated, with the answer as the handler gave it: its content is sealed.
CREATE TABLE idempotency_keys (
    user_id      BLOB NOT NULL,
    key          TEXT NOT NULL,
    key_id       INTEGER NOT NULL,
    fingerprint  BLOB NOT NULL,
    status       SMALLINT NOT NULL,
    response     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
