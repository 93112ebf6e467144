-- What an admin has set, by name; a switch is 0 or 1. What has no row has its default.
CREATE TABLE settings (
    name        TEXT NOT NULL PRIMARY KEY,
    value       BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);

-- Who has changed what of the app itself. Rows are only ever added; details are JSON and hold no secrets.
CREATE TABLE audit (
    id          UUID NOT NULL PRIMARY KEY,
    created_at  BIGINT NOT NULL,
    -- NULL for what was done on the command line.
    actor_id    UUID,
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    details     TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (created_at, id);
CREATE INDEX audit_by_action ON audit (action, created_at, id);

-- From where an account has been used, as keyed hashes of networks.
CREATE TABLE known_places (
    user_id  UUID NOT NULL REFERENCES accounts (user_id),
    place    BYTEA NOT NULL,
    used_at  BIGINT NOT NULL,
    PRIMARY KEY (user_id, place)
);
