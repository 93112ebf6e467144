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

/// What taking in a peer's word about a user comes to.
pub enum Adoption {
    /// Nobody is known by this id or name.
    New {
        /// Whether it is the user's own app that says so.
        vouched: bool,
    },
    /// What is known stays.
    Keep(UserCard),
    /// What the peer says replaces what is known under this id.
    Replace(UserId),
}

/// Weighs what a peer says of a user of another app against what is known, and changes nothing.
///
/// What the user's own app says (`vouched`) counts: its names replace older ones, and its id replaces one that
/// another app had merely named. `None` if the id or the name is somebody else's by its own app's word.
pub async fn weigh(conn: &mut Conn, user: &UserCard, vouched: bool) -> Result<Option<Adoption>> {
    const KNOWN: &str = "SELECT id, username, app, first_name, last_name, vouched FROM users
        WHERE id = $1 OR (app = $2 AND username_key = $3)";
    let known = conn
        .sql(KNOWN)
        .bind(user.id.uuid())
        .bind(user.app.to_string())
        .bind(user.username.key())
        .all(|row| Ok((card(row)?, row.take::<bool>()?)))
        .await?;
    let (known, was_vouched) = match known.as_slice() {
        [] => return Ok(Some(Adoption::New { vouched })),
        [one] => one,
        _ => return Ok(None),
    };
    let same_name = known.address().key() == user.address().key();
    if !vouched {
        return Ok(same_name.then(|| Adoption::Keep(known.clone())));
    }
    if !same_name || (*was_vouched && known.id != user.id) {
        return Ok(None);
    }
    let same = known == user && *was_vouched;
    Ok(Some(if same { Adoption::Keep(known.clone()) } else { Adoption::Replace(known.id) }))
}

/// Takes in what a peer says of a user of another app, and gives the user as known from now on; `None`, and nothing
/// changed, where [`weigh`] gives none.
pub async fn adopt(
    conn: &mut Conn,
    user: &UserCard,
    vouched: bool,
    now: Timestamp,
) -> Result<Option<UserCard>> {
    match weigh(conn, user, vouched).await? {
        Some(adoption) => take_in(conn, user, adoption, now).await.map(Some),
        None => Ok(None),
    }
}

/// Takes in what a peer says of a user, as it has been [weighed](weigh), and gives the user as known from now on.
pub async fn take_in(
    conn: &mut Conn,
    user: &UserCard,
    adoption: Adoption,
    now: Timestamp,
) -> Result<UserCard> {
    const UPDATE: &str = "UPDATE users SET id = $2, username = $3, first_name = $4, last_name = $5,
        vouched = TRUE WHERE id = $1";
    match adoption {
        Adoption::Keep(known) => return Ok(known),
        Adoption::New { vouched } => {
            insert(conn, user, vouched, now).await?;
        }
        Adoption::Replace(known) => {
            conn.sql(UPDATE)
                .bind(known.uuid())
                .bind(user.id.uuid())
                .bind(user.username.to_string())
                .bind(user.first_name.to_string())
                .bind(user.last_name.to_string())
                .execute()
                .await?;
        }
    }
    Ok(user.clone())
}
