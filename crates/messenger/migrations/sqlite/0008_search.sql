-- What a message is found by: keyed hashes of its words, packed. None for a deleted message, nor for one that a peer
-- has sent without; `reindex` makes those.
ALTER TABLE messages ADD COLUMN terms BLOB;
CREATE INDEX messages_without_terms ON messages (id) WHERE content IS NOT NULL AND terms IS NULL;

-- Messages that are new or have changed since the index was written.
CREATE TABLE search_queue (
    seq         INTEGER NOT NULL PRIMARY KEY,
    message_id  BLOB NOT NULL
);

-- The messages of the index, each with the revision that its terms are of.
CREATE TABLE search_documents (
    doc         INTEGER NOT NULL PRIMARY KEY,
    message_id  BLOB NOT NULL UNIQUE,
    revision    INTEGER NOT NULL
);

-- Which document has which terms, in hexadecimal: the last half of the conversation's id, and the term.
CREATE VIRTUAL TABLE search_terms USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = 'ascii'
);
