use std::time::Duration;

use shared::address::AppName;
use shared::encryption::{Ciphertext, Field, FieldCipher};
use shared::id::{SessionId, UserId};
use shared::models::{AccountRole, Profile, UserCard};
use shared::problem::Problem;
use shared::time::Timestamp;

use super::devices::Device;
use super::exactly;
use super::sessions::SessionUser;
use crate::db::{Conn, Result, Row};
use crate::users;

/// An account as it is written.
pub struct NewAccount {
    pub card: UserCard,
    pub email_hash: Vec<u8>,
    pub email: Ciphertext,
    pub password_hash: String,
    pub created_at: Timestamp,
}

/// An account as it is read.
pub struct Account {
    pub card: UserCard,
    pub email: Ciphertext,
    pub password_hash: String,
    pub role: AccountRole,
    pub is_active: bool,
    pub read_receipts: bool,
    pub created_at: Timestamp,
}

impl Account {
    /// The account as its owner sees it.
    pub fn profile(self, fields: &FieldCipher) -> Result<Profile, Problem> {
        let email = fields.open(Field::Email, self.card.id.uuid(), &self.email).map_err(|why| {
            tracing::error!(user = %self.card.id, key = %self.email.key(), %why, "an e-mail address cannot be opened");
            Problem::internal()
        })?;
        let Self { card, role, is_active, read_receipts, created_at, .. } = self;
        Ok(Profile { card, email, role, is_active, read_receipts, created_at })
    }
}

/// Creates a user of this app; 409 if name or e-mail are taken.
pub async fn create(conn: &mut Conn, new: &NewAccount) -> Result<(), Problem> {
    const TAKEN: &str = "SELECT count(*) FROM accounts WHERE email_hash = $1";
    const INSERT: &str = "INSERT INTO accounts
        (user_id, email_hash, email, email_key_id, password_hash, role, is_active, created_at)
        VALUES ($1, $2, $3, $4, $5, 0, TRUE, $6)";
    let email_taken = || {
        Problem::conflict("email_taken", "There is an account with this e-mail address already.")
            .field("email", "This e-mail address is taken.")
    };
    // Looked up first, as PostgreSQL ends the transaction at a failed insert; the constraint decides a race.
    if conn.sql(TAKEN).bind(new.email_hash.clone()).one(Row::take::<i64>).await? > 0 {
        return Err(email_taken());
    }
    if !users::insert_local(conn, &new.card, new.created_at).await? {
        return Err(Problem::conflict("username_taken", "There is a user with this name already.")
            .field("username", "This name is taken."));
    }
    let inserted = conn
        .sql(INSERT)
        .bind(new.card.id.uuid())
        .bind(new.email_hash.clone())
        .bind(new.email.token().to_owned())
        .bind(new.email.key().number())
        .bind(new.password_hash.clone())
        .bind(new.created_at.micros())
        .execute()
        .await;
    match inserted {
        Err(error) if error.is_duplicate() => Err(email_taken()),
        other => Ok(other.map(|_| ())?),
    }
}

macro_rules! select_account {
    ($where:literal) => {
        concat!(
            "SELECT u.id, u.username, u.app, u.first_name, u.last_name,
                a.email, a.email_key_id, a.password_hash, a.role, a.is_active, a.read_receipts,
                a.created_at
             FROM accounts a JOIN users u ON u.id = a.user_id ",
            $where
        )
    };
}

fn account(row: &Row) -> Result<Account> {
    let card = users::card(row)?;
    let (email, key) = (row.take()?, row.take()?);
    Ok(Account {
        card,
        email: Ciphertext::stored(key, email),
        password_hash: row.take()?,
        role: role(row)?,
        is_active: row.take()?,
        read_receipts: row.take()?,
        created_at: row.time()?,
    })
}

fn role(row: &Row) -> Result<AccountRole> {
    Ok(if row.take::<i16>()? == 1 { AccountRole::Admin } else { AccountRole::User })
}

/// The account with a username of this app.
pub async fn by_username(conn: &mut Conn, app: &AppName, key: &str) -> Result<Option<Account>> {
    const SELECT: &str = select_account!("WHERE u.app = $1 AND u.username_key = $2");
    conn.sql(SELECT).bind(app.to_string()).bind(key.to_owned()).optional(account).await
}

/// The account with an e-mail address, by its keyed hash.
pub async fn by_email(conn: &mut Conn, hash: &[u8]) -> Result<Option<Account>> {
    const SELECT: &str = select_account!("WHERE a.email_hash = $1");
    conn.sql(SELECT).bind(hash.to_vec()).optional(account).await
}

/// The active account of a living session.
pub async fn by_session(
    conn: &mut Conn,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<Account>> {
    const SELECT: &str = select_account!(
        "JOIN sessions s ON s.user_id = a.user_id
         WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND a.is_active"
    );
    conn.sql(SELECT).bind(session.uuid()).bind(now.micros()).optional(account).await
}

/// The user of a living session.
pub async fn session_user(
    conn: &mut Conn,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<SessionUser>> {
    const SELECT: &str = "SELECT u.id, u.username, u.app, u.first_name, u.last_name, a.role
        FROM sessions s JOIN accounts a ON a.user_id = s.user_id JOIN users u ON u.id = s.user_id
        WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND a.is_active";
    let user = |row: &Row| Ok(SessionUser { card: users::card(row)?, role: role(row)? });
    conn.sql(SELECT).bind(session.uuid()).bind(now.micros()).optional(user).await
}

/// How long a session lives without being refreshed.
pub const LIFETIME: Duration = Duration::from_hours(30 * 24);

/// A session as it is written.
pub struct NewSession {
    pub session: SessionId,
    pub user: UserId,
    /// What the client called itself.
    pub agent: String,
    pub now: Timestamp,
    /// When it ends unless it is refreshed.
    pub ends: Timestamp,
}

/// Begins a session with its first refresh token.
pub async fn begin_session(conn: &mut Conn, new: &NewSession, refresh: &[u8]) -> Result<()> {
    const INSERT: &str = "INSERT INTO sessions (id, user_id, created_at, expires_at, user_agent)
        VALUES ($1, $2, $3, $4, $5)";
    conn.sql(INSERT)
        .bind(new.session.uuid())
        .bind(new.user.uuid())
        .bind(new.now.micros())
        .bind(new.ends.micros())
        .bind(new.agent.clone())
        .execute()
        .await?;
    add_refresh(conn, new.session, refresh, new.now).await
}

/// Adds a refresh token to a session.
pub async fn add_refresh(
    conn: &mut Conn,
    session: SessionId,
    hash: &[u8],
    now: Timestamp,
) -> Result<()> {
    const INSERT: &str = "INSERT INTO refresh_tokens (hash, session_id, salt, created_at)
        VALUES ($1, $2, $3, $4)";
    let salt: [u8; 32] = rand::random();
    conn.sql(INSERT)
        .bind(hash.to_vec())
        .bind(session.uuid())
        .bind(salt.to_vec())
        .bind(now.micros())
        .execute()
        .await
        .map(|_| ())
}

/// Lets a session live on until `ends`, and no longer than `at_most` from its beginning.
pub async fn extend_session(
    conn: &mut Conn,
    session: SessionId,
    ends: Timestamp,
    at_most: Duration,
) -> Result<()> {
    const UPDATE: &str = "UPDATE sessions
        SET expires_at = CASE WHEN created_at + $3 < $2 THEN created_at + $3 ELSE $2 END
        WHERE id = $1";
    conn.sql(UPDATE)
        .bind(session.uuid())
        .bind(ends.micros())
        .bind(i64::try_from(at_most.as_micros()).unwrap_or(i64::MAX / 2))
        .execute()
        .await
        .map(|_| ())
}

/// Ends a session, unless it has ended already.
pub async fn end_session(conn: &mut Conn, session: SessionId, now: Timestamp) -> Result<()> {
    const UPDATE: &str = "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    conn.sql(UPDATE).bind(session.uuid()).bind(now.micros()).execute().await.map(|_| ())
}

/// Ends a session if it is this user's and alive; `false` otherwise.
pub async fn end_own_session(
    conn: &mut Conn,
    session: SessionId,
    owner: UserId,
    now: Timestamp,
) -> Result<bool> {
    const UPDATE: &str = "UPDATE sessions SET ended_at = $3
        WHERE id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $3";
    let query = conn.sql(UPDATE).bind(session.uuid()).bind(owner.uuid()).bind(now.micros());
    Ok(query.execute().await? == 1)
}

/// Ends all sessions of a user but one, and gives those that it has ended.
pub async fn end_sessions(
    conn: &mut Conn,
    owner: UserId,
    but: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    const UPDATE: &str = "UPDATE sessions SET ended_at = $2
        WHERE user_id = $1 AND ended_at IS NULL AND id <> $3 RETURNING id";
    // No session has the nil id.
    let but = but.map_or(uuid::Uuid::nil(), SessionId::uuid);
    let query = conn.sql(UPDATE).bind(owner.uuid()).bind(now.micros()).bind(but);
    query.all(Row::id).await
}

/// The living sessions of a user, the latest first.
pub async fn living(conn: &mut Conn, owner: UserId, now: Timestamp) -> Result<Vec<Device>> {
    const SELECT: &str = "SELECT s.id, s.user_agent, s.created_at, s.expires_at,
            (SELECT max(t.created_at) FROM refresh_tokens t WHERE t.session_id = s.id) AS used_at
        FROM sessions s WHERE s.user_id = $1 AND s.ended_at IS NULL AND s.expires_at > $2
        ORDER BY used_at DESC, s.id";
    let device = |row: &Row| {
        let (id, user_agent, created_at) = (row.id()?, row.take()?, row.time()?);
        let (expires_at, last_used_at) = (row.time()?, row.time()?);
        Ok(Device { id, user_agent, created_at, last_used_at, expires_at, current: false })
    };
    conn.sql(SELECT).bind(owner.uuid()).bind(now.micros()).all(device).await
}

/// Gives an account another password.
pub async fn set_password(conn: &mut Conn, owner: UserId, hash: &str) -> Result<()> {
    const UPDATE: &str = "UPDATE accounts SET password_hash = $2 WHERE user_id = $1";
    conn.sql(UPDATE).bind(owner.uuid()).bind(hash.to_owned()).execute().await.map(|_| ())
}

/// The session of a refresh token, spent or not, ended or not.
pub async fn session_of(conn: &mut Conn, hash: &[u8]) -> Result<Option<SessionId>> {
    const SELECT: &str = "SELECT session_id FROM refresh_tokens WHERE hash = $1";
    conn.sql(SELECT).bind(hash.to_vec()).optional(Row::id).await
}

/// Whether a refresh token is there and has not been spent.
pub async fn is_unspent(conn: &mut Conn, hash: &[u8]) -> Result<bool> {
    const SELECT: &str = "SELECT count(*) FROM refresh_tokens WHERE hash = $1 AND spent_at IS NULL";
    Ok(conn.sql(SELECT).bind(hash.to_vec()).one(Row::take::<i64>).await? > 0)
}

/// What using a refresh token comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was unspent, and is spent now.
    Spent(SessionId),
    /// It was spent a moment ago: another tab of the same client, perhaps.
    Again(SessionId),
    /// It was spent before that: somebody has a copy.
    Reused(SessionId),
    /// There is no such token in a living session.
    Unknown,
}

/// Spends a refresh token, in one statement, and gives the salt of its successor.
pub async fn spend(
    conn: &mut Conn,
    hash: &[u8],
    now: Timestamp,
    grace: Duration,
) -> Result<(Rotation, [u8; 32])> {
    const SPEND: &str = "UPDATE refresh_tokens SET spent_at = $2
        WHERE hash = $1 AND spent_at IS NULL AND EXISTS (SELECT 1 FROM sessions s
            WHERE s.id = refresh_tokens.session_id AND s.ended_at IS NULL AND s.expires_at > $2)
        RETURNING session_id, salt";
    const SPENT: &str = "SELECT t.session_id, t.salt, t.spent_at
        FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
        WHERE t.hash = $1 AND t.spent_at IS NOT NULL AND s.ended_at IS NULL AND s.expires_at > $2";
    let spent = |row: &Row| Ok((Rotation::Spent(row.id()?), exactly(row.take()?)?));
    let query = conn.sql(SPEND).bind(hash.to_vec()).bind(now.micros());
    if let Some(found) = query.optional(spent).await? {
        return Ok(found);
    }
    let again = |row: &Row| {
        let (session, salt) = (row.id()?, exactly(row.take()?)?);
        let recent = row.time()? > now.before(grace);
        Ok((if recent { Rotation::Again(session) } else { Rotation::Reused(session) }, salt))
    };
    let query = conn.sql(SPENT).bind(hash.to_vec()).bind(now.micros());
    Ok(query.optional(again).await?.unwrap_or((Rotation::Unknown, [0; 32])))
}

/// Keeps a secret of the app, unless it has one of that name.
pub async fn add_secret(conn: &mut Conn, name: &'static str, sealed: &Ciphertext) -> Result<()> {
    const INSERT: &str = "INSERT INTO secrets (name, value, key_id) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO NOTHING";
    conn.sql(INSERT)
        .bind(name)
        .bind(sealed.token().to_owned())
        .bind(sealed.key().number())
        .execute()
        .await
        .map(|_| ())
}

/// A secret of the app.
pub async fn secret(conn: &mut Conn, name: &'static str) -> Result<Ciphertext> {
    const SELECT: &str = "SELECT value, key_id FROM secrets WHERE name = $1";
    let (value, key) =
        conn.sql(SELECT).bind(name).one(|row| Ok((row.take()?, row.take()?))).await?;
    Ok(Ciphertext::stored(key, value))
}
