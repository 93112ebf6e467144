-- What an admin has set, by name; a switch is 0 or 1. What has no row has its default.
CREATE TABLE settings (
    name        TEXT NOT NULL PRIMARY KEY,
    value       INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL
) WITHOUT ROWID;

-- Who has changed what of the app itself. Rows are only ever added; details are JSON and hold no secrets.
CREATE TABLE audit (
    id          BLOB NOT NULL PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    -- NULL for what was done on the command line.
    actor_id    BLOB,
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    details     TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_by_time ON audit (created_at, id);
CREATE INDEX audit_by_action ON audit (action, created_at, id);

-- From where an account has been used, as keyed hashes of networks.
CREATE TABLE known_places (
    user_id  BLOB NOT NULL REFERENCES accounts (user_id),
    place    BLOB NOT NULL,
    used_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, place)
) WITHOUT ROWID;
