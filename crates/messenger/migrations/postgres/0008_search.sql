-- What a message is found by: keyed hashes of its words, packed. None for a deleted message, nor for one that a peer
-- has sent without; `reindex` makes those.
ALTER TABLE messages ADD COLUMN terms BYTEA;
CREATE INDEX messages_without_terms ON messages (id) WHERE content IS NOT NULL AND terms IS NULL;

-- Messages that are new or have changed since the index was written.
CREATE TABLE search_queue (
    seq         BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id  UUID NOT NULL
);

-- The messages of the index, each with the revision that its terms are of. With the terms, the last half of the
-- conversation's id.
CREATE TABLE search_documents (
    message_id  UUID NOT NULL PRIMARY KEY,
    revision    BIGINT NOT NULL,
    terms       BIGINT[] NOT NULL
);
CREATE INDEX search_documents_by_term ON search_documents USING GIN (terms);
