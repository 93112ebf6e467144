use shared::encryption::{Ciphertext, Field, KeyId, SealedContent};
use shared::id::{MessageId, UserId};
use shared::time::Timestamp;
use uuid::Uuid;

use crate::db::{Conn, Result, Row};

/// The keys that the app has been started with.
pub async fn held(conn: &mut Conn) -> Result<Vec<KeyId>> {
    const SELECT: &str = "SELECT id FROM held_keys ORDER BY id";
    conn.sql(SELECT).all(key).await
}

fn key(row: &Row) -> Result<KeyId> {
    row.take().map(KeyId::stored)
}

/// Notes that the app holds a key.
pub async fn hold(conn: &mut Conn, key: KeyId, now: Timestamp) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO held_keys (id, held_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    conn.sql(INSERT).bind(key.number()).bind(now.micros()).execute().await.map(|_| ())
}

/// Notes that the app needs a key no longer.
pub async fn forget(conn: &mut Conn, key: KeyId) -> Result<()> {
    const DELETE: &str = "DELETE FROM held_keys WHERE id = $1";
    conn.sql(DELETE).bind(key.number()).execute().await.map(|_| ())
}

/// Whether a message is sealed with a key: a look into an index.
pub async fn message_exists(conn: &mut Conn, key: KeyId) -> Result<bool> {
    const SELECT: &str =
        "SELECT count(*) FROM (SELECT id FROM messages WHERE key_id = $1 LIMIT 1) m";
    Ok(conn.sql(SELECT).bind(key.number()).one(|row| row.take::<i64>()).await? > 0)
}

/// Whether a message, a field of an account or a secret is sealed with a key.
pub async fn is_in_use(conn: &mut Conn, key: KeyId) -> Result<bool> {
    const FIELDS: &str = "SELECT count(*) FROM (SELECT user_id FROM accounts
        WHERE email_key_id = $1 OR dob_key_id = $1 OR phone_number_key_id = $1
            OR emergency_contact_key_id = $1 LIMIT 1) a";
    const SECRETS: &str = "SELECT count(*) FROM secrets WHERE key_id = $1";
    if message_exists(conn, key).await? {
        return Ok(true);
    }
    for select in [FIELDS, SECRETS] {
        if conn.sql(select).bind(key.number()).one(|row| row.take::<i64>()).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How much is sealed with each key, as statements of a key and a number.
async fn counts(conn: &mut Conn, select: &'static str) -> Result<Vec<(KeyId, i64)>> {
    conn.sql(select).all(|row| Ok((key(row)?, row.take()?))).await
}

/// Messages by key.
pub async fn messages(conn: &mut Conn) -> Result<Vec<(KeyId, i64)>> {
    const SELECT: &str = "SELECT key_id, count(*) FROM messages
        WHERE key_id IS NOT NULL GROUP BY key_id";
    counts(conn, SELECT).await
}

/// Sealed fields of accounts by key.
pub async fn fields(conn: &mut Conn) -> Result<Vec<(KeyId, i64)>> {
    const SELECT: &str = "SELECT k, count(*) FROM (
            SELECT email_key_id AS k FROM accounts
            UNION ALL SELECT dob_key_id FROM accounts WHERE dob_key_id IS NOT NULL
            UNION ALL SELECT phone_number_key_id FROM accounts
                WHERE phone_number_key_id IS NOT NULL
            UNION ALL SELECT emergency_contact_key_id FROM accounts
                WHERE emergency_contact_key_id IS NOT NULL) f GROUP BY k";
    counts(conn, SELECT).await
}

/// The app's own secrets by key.
pub async fn secrets(conn: &mut Conn) -> Result<Vec<(KeyId, i64)>> {
    counts(conn, "SELECT key_id, count(*) FROM secrets GROUP BY key_id").await
}

/// How many messages have search terms that were made with a key.
pub async fn terms(conn: &mut Conn, key: KeyId) -> Result<i64> {
    const SELECT: &str = "SELECT count(*) FROM messages
        WHERE terms IS NOT NULL AND substr(terms, 2, 4) = $1";
    let name = u32::try_from(key.number()).unwrap_or(0).to_be_bytes();
    conn.sql(SELECT).bind(name.to_vec()).one(|row| row.take()).await
}

/// How many stored answers, and events that were set aside, hold a token of a key.
pub async fn answers(conn: &mut Conn, key: KeyId) -> Result<i64> {
    const SELECT: &str = "SELECT (SELECT count(*) FROM idempotency_keys WHERE response LIKE $1)
        + (SELECT count(*) FROM parked WHERE body LIKE $1)";
    conn.sql(SELECT).bind(format!("%\"{key}:%")).one(|row| row.take()).await
}

/// Messages that are sealed with another key than `sealing`, by their keys and ids, after a place in that order.
pub async fn stale_messages(
    conn: &mut Conn,
    sealing: KeyId,
    (key, id): (i64, MessageId),
    limit: i64,
) -> Result<Vec<(i64, SealedContent, MessageId)>> {
    // Two ranges of the index, one on each side of the key that seals.
    const BELOW: &str = "SELECT key_id, id, sender_id, revision, content FROM messages
        WHERE (key_id, id) > ($1, $2) AND key_id < $3 ORDER BY key_id, id LIMIT $4";
    const ABOVE: &str = "SELECT key_id, id, sender_id, revision, content FROM messages
        WHERE (key_id, id) > ($1, $2) AND key_id > $3 ORDER BY key_id, id LIMIT $4";
    for select in [BELOW, ABOVE] {
        let query = conn.sql(select).bind(key).bind(id.uuid()).bind(sealing.number());
        let found = query.bind(limit).all(content).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn content(row: &Row) -> Result<(i64, SealedContent, MessageId)> {
    let key: i64 = row.take()?;
    let (id, sender): (MessageId, UserId) = (row.id()?, row.id()?);
    let (revision, token) = (row.take()?, row.take::<Option<String>>()?.unwrap_or_default());
    let token = Ciphertext::stored(key, token);
    Ok((key, SealedContent::new(id, sender, revision, token), id))
}

/// The first messages that are sealed with a key.
pub async fn messages_of(conn: &mut Conn, key: KeyId, limit: i64) -> Result<Vec<SealedContent>> {
    const SELECT: &str = "SELECT key_id, id, sender_id, revision, content FROM messages
        WHERE key_id = $1 ORDER BY id LIMIT $2";
    let found = conn.sql(SELECT).bind(key.number()).bind(limit).all(content).await?;
    Ok(found.into_iter().map(|(_, content, _)| content).collect())
}

/// Gives a message another token for its text, if it still has the one that this was made of.
pub async fn renew_message(
    conn: &mut Conn,
    id: MessageId,
    old: &str,
    new: &Ciphertext,
) -> Result<bool> {
    const UPDATE: &str =
        "UPDATE messages SET content = $3, key_id = $4 WHERE id = $1 AND content = $2";
    let query = conn.sql(UPDATE).bind(id.uuid()).bind(old.to_owned());
    Ok(query.bind(new.token().to_owned()).bind(new.key().number()).execute().await? == 1)
}

/// The fields of an account that are sealed.
pub const FIELDS: [Field; 4] =
    [Field::Email, Field::DateOfBirth, Field::PhoneNumber, Field::EmergencyContact];

/// The values of one field that are sealed with another key than `sealing`, of accounts after one.
pub async fn stale_fields(
    conn: &mut Conn,
    field: Field,
    sealing: KeyId,
    after: UserId,
    limit: i64,
) -> Result<Vec<(UserId, Ciphertext)>> {
    let column = column(field);
    let text = format!(
        "SELECT user_id, {column}, {column}_key_id FROM accounts
         WHERE user_id > $1 AND {column}_key_id <> $2 ORDER BY user_id LIMIT $3"
    );
    let query = conn.sql_built(text).bind(after.uuid()).bind(sealing.number()).bind(limit);
    let read = |row: &Row| {
        let (owner, token, key) = (row.id()?, row.take()?, row.take()?);
        Ok((owner, Ciphertext::stored(key, token)))
    };
    query.all(read).await
}

/// Gives a field of an account another token, if it still has the one that this was made of.
pub async fn renew_field(
    conn: &mut Conn,
    field: Field,
    owner: UserId,
    old: &str,
    new: &Ciphertext,
) -> Result<bool> {
    let column = column(field);
    let text = format!(
        "UPDATE accounts SET {column} = $3, {column}_key_id = $4
         WHERE user_id = $1 AND {column} = $2"
    );
    let query = conn.sql_built(text).bind(owner.uuid()).bind(old.to_owned());
    Ok(query.bind(new.token().to_owned()).bind(new.key().number()).execute().await? == 1)
}

fn column(field: Field) -> &'static str {
    match field {
        Field::Email | Field::IndexKey => "email",
        Field::DateOfBirth => "dob",
        Field::PhoneNumber => "phone_number",
        Field::EmergencyContact => "emergency_contact",
    }
}

/// The index key, if it is sealed with another key than `sealing`.
pub async fn stale_index_key(conn: &mut Conn, sealing: KeyId) -> Result<Option<Ciphertext>> {
    const SELECT: &str = "SELECT value, key_id FROM secrets WHERE name = 'index' AND key_id <> $1";
    let read = |row: &Row| {
        let (token, key): (String, i64) = (row.take()?, row.take()?);
        Ok(Ciphertext::stored(key, token))
    };
    conn.sql(SELECT).bind(sealing.number()).optional(read).await
}

/// Gives the index key another token, if it still has the one that this was made of.
pub async fn renew_index_key(conn: &mut Conn, old: &str, new: &Ciphertext) -> Result<bool> {
    const UPDATE: &str =
        "UPDATE secrets SET value = $2, key_id = $3 WHERE name = 'index' AND value = $1";
    let query = conn.sql(UPDATE).bind(old.to_owned()).bind(new.token().to_owned());
    Ok(query.bind(new.key().number()).execute().await? == 1)
}

/// Answers that are stored for requests that may be repeated, after one.
pub async fn stored_answers(
    conn: &mut Conn,
    (user, key): (Uuid, &str),
    limit: i64,
) -> Result<Vec<(Uuid, String, String)>> {
    const SELECT: &str = "SELECT user_id, key, response FROM idempotency_keys
        WHERE (user_id, key) > ($1, $2) ORDER BY user_id, key LIMIT $3";
    let query = conn.sql(SELECT).bind(user).bind(key.to_owned()).bind(limit);
    query.all(|row| Ok((row.take()?, row.take()?, row.take()?))).await
}

/// Replaces a stored answer, if it is still the one that this was made of.
pub async fn renew_answer(
    conn: &mut Conn,
    (user, key): (Uuid, String),
    old: &str,
    new: &str,
) -> Result<bool> {
    const UPDATE: &str = "UPDATE idempotency_keys SET response = $4
        WHERE user_id = $1 AND key = $2 AND response = $3";
    let query = conn.sql(UPDATE).bind(user).bind(key).bind(old.to_owned());
    Ok(query.bind(new.to_owned()).execute().await? == 1)
}

/// An event that was set aside.
pub struct Aside {
    pub origin: String,
    pub stream: Uuid,
    pub seq: i64,
    pub body: String,
}

/// Events that were set aside, after one.
pub async fn parked(
    conn: &mut Conn,
    (origin, stream, seq): (&str, Uuid, i64),
    limit: i64,
) -> Result<Vec<Aside>> {
    const SELECT: &str = "SELECT origin, stream, seq, body FROM parked
        WHERE (origin, stream, seq) > ($1, $2, $3) ORDER BY origin, stream, seq LIMIT $4";
    let query = conn.sql(SELECT).bind(origin.to_owned()).bind(stream).bind(seq).bind(limit);
    let read = |row: &Row| {
        Ok(Aside { origin: row.take()?, stream: row.take()?, seq: row.take()?, body: row.take()? })
    };
    query.all(read).await
}

/// Replaces the body of an event that was set aside.
pub async fn renew_parked(conn: &mut Conn, event: &Aside, body: &str) -> Result<bool> {
    const UPDATE: &str = "UPDATE parked SET body = $5
        WHERE origin = $1 AND stream = $2 AND seq = $3 AND body = $4";
    let query = conn.sql(UPDATE).bind(event.origin.clone()).bind(event.stream).bind(event.seq);
    Ok(query.bind(event.body.clone()).bind(body.to_owned()).execute().await? == 1)
}
