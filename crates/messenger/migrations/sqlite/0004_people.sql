-- What a search looks in: username, and first and last name, in one case. SQLite's lower() knows ASCII alone; other
-- letters get their one case when the name is next changed.
ALTER TABLE users ADD COLUMN search_key TEXT NOT NULL DEFAULT '';
-- The version of the picture, if there is one.
ALTER TABLE users ADD COLUMN picture TEXT;
-- Whether the user is still there. It stands here, as it concerns the users of peers too.
ALTER TABLE users ADD COLUMN is_active BOOLEAN NOT NULL DEFAULT TRUE;
-- When names, picture or activity last changed, by the word of the user's own app.
ALTER TABLE users ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
UPDATE users SET search_key = username_key || char(10) || lower(first_name || ' ' || last_name);
UPDATE users SET is_active = FALSE
    WHERE id IN (SELECT user_id FROM accounts WHERE NOT is_active);
ALTER TABLE accounts DROP COLUMN is_active;

ALTER TABLE accounts ADD COLUMN dob TEXT;
ALTER TABLE accounts ADD COLUMN dob_key_id INTEGER;
ALTER TABLE accounts ADD COLUMN phone_number TEXT;
ALTER TABLE accounts ADD COLUMN phone_number_key_id INTEGER;
ALTER TABLE accounts ADD COLUMN emergency_contact TEXT;
ALTER TABLE accounts ADD COLUMN emergency_contact_key_id INTEGER;
-- The admin who made the account.
ALTER TABLE accounts ADD COLUMN added_by BLOB REFERENCES accounts (user_id);

-- Pictures as this app has encoded them: those of its own users, and those of peers' users that were asked for.
CREATE TABLE pictures (
    user_id  BLOB NOT NULL PRIMARY KEY REFERENCES users (id) ON UPDATE CASCADE,
    version  TEXT NOT NULL,
    image    BLOB NOT NULL
);
