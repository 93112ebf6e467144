-- How many messages somebody has written in a conversation, deleted ones too, so that lists need not count them one by one.
-- The triggers keep it, as it then holds for whatever writes messages. Its rows are updated in place, for which their pages have room.
CREATE TABLE tallies (
    conversation_id  UUID NOT NULL,
    sender_id        UUID NOT NULL,
    messages         BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, sender_id)
) WITH (fillfactor = 50);
INSERT INTO tallies (conversation_id, sender_id, messages)
    SELECT conversation_id, sender_id, count(*) FROM messages GROUP BY conversation_id, sender_id;

-- In the order of the key, so that two transactions lock the rows in the same order.
CREATE FUNCTION tally_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies (conversation_id, sender_id, messages)
        SELECT conversation_id, sender_id, count(*) FROM fresh
        GROUP BY conversation_id, sender_id ORDER BY conversation_id, sender_id
        ON CONFLICT (conversation_id, sender_id)
            DO UPDATE SET messages = tallies.messages + excluded.messages;
    RETURN NULL;
END $$;
CREATE TRIGGER tally_new AFTER INSERT ON messages
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tally_new();
CREATE FUNCTION tally_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tallies t SET messages = t.messages - g.messages FROM
        (SELECT conversation_id, sender_id, count(*) AS messages FROM gone
            GROUP BY conversation_id, sender_id) g
        WHERE t.conversation_id = g.conversation_id AND t.sender_id = g.sender_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tally_gone AFTER DELETE ON messages
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION tally_gone();
