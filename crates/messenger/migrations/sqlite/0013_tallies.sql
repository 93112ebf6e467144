-- How many messages somebody has written in a conversation, deleted ones too, so that lists need not count them one by one.
-- The triggers keep it, as it then holds for whatever writes messages.
CREATE TABLE tallies (
    conversation_id  BLOB NOT NULL,
    sender_id        BLOB NOT NULL,
    messages         INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, sender_id)
) WITHOUT ROWID;
INSERT INTO tallies (conversation_id, sender_id, messages)
    SELECT conversation_id, sender_id, count(*) FROM messages GROUP BY conversation_id, sender_id;
CREATE TRIGGER tally_new AFTER INSERT ON messages BEGIN
    INSERT INTO tallies (conversation_id, sender_id, messages)
        VALUES (NEW.conversation_id, NEW.sender_id, 1)
        ON CONFLICT (conversation_id, sender_id) DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER tally_gone AFTER DELETE ON messages BEGIN
    UPDATE tallies SET messages = messages - 1
        WHERE conversation_id = OLD.conversation_id AND sender_id = OLD.sender_id;
END;
