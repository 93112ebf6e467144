use std::sync::Arc;

use shared::id::UserId;
use shared::models::UserCard;
use shared::time::Timestamp;

use crate::db::{Conn, Result, Row};

/// Reads `id, username, app, first_name, last_name`.
pub fn card(row: &Row) -> Result<UserCard> {
    Ok(UserCard {
        id: row.id()?,
        username: row.parse()?,
        app: row.parse()?,
        first_name: Arc::from(row.take::<String>()?),
        last_name: Arc::from(row.take::<String>()?),
    })
}

/// Adds a user of this app; `false` if the name is taken.
pub async fn insert_local(conn: &mut Conn, user: &UserCard, now: Timestamp) -> Result<bool> {
    insert(conn, user, true, now).await
}

async fn insert(conn: &mut Conn, user: &UserCard, vouched: bool, now: Timestamp) -> Result<bool> {
    const INSERT: &str = "INSERT INTO users
        (id, app, username, username_key, first_name, last_name, vouched, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let added = conn
        .sql(INSERT)
        .bind(user.id.uuid())
        .bind(user.app.to_string())
        .bind(user.username.to_string())
        .bind(user.username.key())
        .bind(user.first_name.to_string())
        .bind(user.last_name.to_string())
        .bind(vouched)
        .bind(now.micros())
        .execute()
        .await?;
    Ok(added == 1)
}

/// The user with an id.
pub async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<UserCard>> {
    const SELECT: &str = "SELECT id, username, app, first_name, last_name FROM users WHERE id = $1";
    conn.sql(SELECT).bind(id.uuid()).optional(card).await
}

/// The user with a name in an app.
pub async fn by_name(conn: &mut Conn, app: &str, key: &str) -> Result<Option<UserCard>> {
    const SELECT: &str = "SELECT id, username, app, first_name, last_name FROM users
        WHERE app = $1 AND username_key = $2";
    conn.sql(SELECT).bind(app.to_owned()).bind(key.to_owned()).optional(card).await
}

/// Takes in what a peer says of a user of another app, and gives the user as known from now on.
///
/// What the user's own app says (`vouched`) counts: its names replace older ones, and its id replaces one that
/// another app had merely named. `None` if the id or the name is somebody else's by its own app's word.
pub async fn adopt(
    conn: &mut Conn,
    user: &UserCard,
    vouched: bool,
    now: Timestamp,
) -> Result<Option<UserCard>> {
    const KNOWN: &str = "SELECT id, username, app, first_name, last_name, vouched FROM users
        WHERE id = $1 OR (app = $2 AND username_key = $3)";
    const UPDATE: &str = "UPDATE users SET id = $2, username = $3, first_name = $4, last_name = $5,
        vouched = TRUE WHERE id = $1";
    let known = conn
        .sql(KNOWN)
        .bind(user.id.uuid())
        .bind(user.app.to_string())
        .bind(user.username.key())
        .all(|row| Ok((card(row)?, row.take::<bool>()?)))
        .await?;
    let (known, was_vouched) = match known.as_slice() {
        [] => {
            insert(conn, user, vouched, now).await?;
            return Ok(Some(user.clone()));
        }
        [one] => one,
        _ => return Ok(None),
    };
    let same_name = known.address().key() == user.address().key();
    if !vouched {
        return Ok(same_name.then(|| known.clone()));
    }
    if !same_name || (*was_vouched && known.id != user.id) {
        return Ok(None);
    }
    if known != user || !was_vouched {
        conn.sql(UPDATE)
            .bind(known.id.uuid())
            .bind(user.id.uuid())
            .bind(user.username.to_string())
            .bind(user.first_name.to_string())
            .bind(user.last_name.to_string())
            .execute()
            .await?;
    }
    Ok(Some(user.clone()))
}
