-- Which key has sealed how many messages, and which messages, without reading them.
CREATE INDEX messages_by_key ON messages (key_id, id) WHERE key_id IS NOT NULL;

-- The keys that this app has been started with. One that is not in the ring any more, and that something is still sealed
-- with, is missing.
CREATE TABLE held_keys (
    id       BIGINT NOT NULL PRIMARY KEY,
    held_at  BIGINT NOT NULL
);
