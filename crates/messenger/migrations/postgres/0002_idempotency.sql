-- Requests that may be repeated, with the answer as the handler gave it: its content is sealed.
CREATE TABLE idempotency_keys (
    user_id      UUID NOT NULL,
    key          TEXT NOT NULL,
    key_id       BIGINT NOT NULL,
    fingerprint  BYTEA NOT NULL,
    status       SMALLINT NOT NULL,
    response     TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
