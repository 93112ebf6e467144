-- What has happened that a client may want to hear of: one row for each event, not for each who hears it.
CREATE SEQUENCE event_log_numbers;
CREATE TABLE event_log (
    seq              BIGINT NOT NULL PRIMARY KEY DEFAULT nextval('event_log_numbers'),
    kind             SMALLINT NOT NULL,
    conversation_id  UUID NOT NULL,
    -- The message or the conversation.
    subject          UUID NOT NULL,
    -- Whom alone it concerns; everybody in the conversation, if absent.
    user_id          UUID,
    created_at       BIGINT NOT NULL
);
-- The beginning; as the newest row is never pruned, the log is never empty, and every place in it is that of a row.
INSERT INTO event_log (kind, conversation_id, subject, created_at)
VALUES (0, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000',
    (extract(epoch FROM now()) * 1000000)::bigint);

-- Numbers are given out before commits, so a row may appear after one with a higher number. Therefore a transaction
-- that is about to write holds, until its end, a lock whose key is the last number that was given out before: all its
-- rows come after that. No two of these locks are in each other's way; they are there to be seen.
CREATE FUNCTION event_log_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        (20811::bigint << 44) + (SELECT last_value FROM event_log_numbers));
    RETURN NULL;
END $$;
CREATE TRIGGER event_log_announce BEFORE INSERT ON event_log
    FOR EACH STATEMENT EXECUTE FUNCTION event_log_announce();

-- The last number that has been given out, and the number up to which no row can appear any more. The order of the two
-- statements matters: who takes a lock between them takes a number after both.
CREATE FUNCTION event_log_settled(OUT last bigint, OUT settled bigint) LANGUAGE plpgsql AS $$
BEGIN
    SELECT last_value INTO last FROM event_log_numbers;
    SELECT least(last, min(((classid::bigint << 32) | objid::bigint) - (20811::bigint << 44)))
        INTO settled FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 12 = 20811
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
END $$;

-- What opens one socket, by hash.
CREATE TABLE socket_tickets (
    hash        BYTEA NOT NULL PRIMARY KEY,
    session_id  UUID NOT NULL,
    expires_at  BIGINT NOT NULL
);

-- For those who must know at once which sessions have ended.
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;
