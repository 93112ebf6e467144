-- What has been done to groups, in the order of (at, app). Title, roles and memberships follow from it: the columns
-- in conversations and participants are what it comes to.
CREATE TABLE changes (
    conversation_id  UUID NOT NULL REFERENCES conversations (id),
    at               BIGINT NOT NULL,
    -- The app of the actor.
    app              TEXT NOT NULL,
    -- 0 a title, 1 an addition, 2 a removal, 3 a role, 4 the end.
    kind             SMALLINT NOT NULL,
    -- Whom it is about; the actor, where it is about nobody.
    user_id          UUID NOT NULL REFERENCES users (id) ON UPDATE CASCADE,
    actor_id         UUID NOT NULL REFERENCES users (id) ON UPDATE CASCADE,
    role             SMALLINT,
    title            TEXT,
    PRIMARY KEY (conversation_id, at, app, kind, user_id)
);

-- When a group last changed, and when it was ended for everybody.
ALTER TABLE conversations ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN ended_at BIGINT;
UPDATE conversations SET changed_at = title_at;

-- How many messages a direct conversation had when this participant put it out of sight.
ALTER TABLE participants ADD COLUMN hidden_at_count BIGINT;

-- What has been until now: groups as they were begun.
INSERT INTO changes (conversation_id, at, app, kind, user_id, actor_id, role, title)
    SELECT c.id, c.created_at, u.app, 0, u.id, u.id, NULL, c.title
    FROM conversations c JOIN users u ON u.id = c.created_by
    WHERE c.kind = 1 AND c.title IS NOT NULL;
INSERT INTO changes (conversation_id, at, app, kind, user_id, actor_id, role, title)
    SELECT c.id, c.created_at, u.app, 1, p.user_id, u.id, p.role, NULL
    FROM conversations c JOIN users u ON u.id = c.created_by
    JOIN participants p ON p.conversation_id = c.id
    WHERE c.kind = 1 AND p.user_id <> c.created_by;

-- Events that speak of what another peer may tell of any moment; they are looked at again then.
CREATE TABLE parked (
    origin           TEXT NOT NULL,
    stream           UUID NOT NULL,
    seq              BIGINT NOT NULL,
    conversation_id  UUID NOT NULL,
    body             TEXT NOT NULL,
    parked_at        BIGINT NOT NULL,
    PRIMARY KEY (origin, stream, seq)
);
CREATE INDEX parked_by_conversation ON parked (conversation_id);
