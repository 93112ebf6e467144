use std::time::Duration;

use shared::address::AppName;
use shared::encryption::{Ciphertext, Field, FieldCipher};
use shared::id::{SessionId, UserId};
use shared::models::{AccountRole, AddedBy, Profile, UserCard};
use shared::problem::Problem;
use shared::time::Timestamp;
use uuid::Uuid;

use super::details::Details;
use super::devices::Device;
use super::sessions::SessionUser;
use super::{exactly, open};
use crate::db::{Conn, Result, Row};
use crate::users;

/// An account as it is written.
pub struct NewAccount {
    pub card: UserCard,
    pub email_hash: Vec<u8>,
    pub email: Ciphertext,
    pub password_hash: String,
    pub role: AccountRole,
    pub details: Details<Option<Ciphertext>>,
    pub added_by: Option<UserId>,
    pub created_at: Timestamp,
}

/// An account as it is read.
#[derive(Clone)]
pub struct Account {
    pub card: UserCard,
    pub email: Ciphertext,
    pub password_hash: String,
    pub role: AccountRole,
    pub is_active: bool,
    pub read_receipts: bool,
    pub created_at: Timestamp,
    pub details: Details<Option<Ciphertext>>,
    pub added_by: Option<AddedBy>,
}

impl Account {
    /// The account as its owner sees it.
    pub fn profile(self, fields: &FieldCipher) -> Result<Profile, Problem> {
        let email = open(fields, Field::Email, self.card.id, &self.email)?;
        let details = self.details.open(fields, self.card.id)?;
        let Self { card, role, is_active, read_receipts, created_at, added_by, .. } = self;
        let Details { dob, phone_number, emergency_contact } = details;
        Ok(Profile {
            card,
            email,
            role,
            is_active,
            read_receipts,
            dob,
            phone_number,
            emergency_contact,
            added_by,
            created_at,
        })
    }
}

/// Creates a user of this app; 409 if name or e-mail are taken.
pub async fn create(conn: &mut Conn, new: &NewAccount) -> Result<(), Problem> {
    const TAKEN: &str = "SELECT count(*) FROM accounts WHERE email_hash = $1";
    const INSERT: &str = "INSERT INTO accounts
        (user_id, email_hash, email, email_key_id, password_hash, role, created_at, added_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    // Looked up first, as PostgreSQL ends the transaction at a failed insert; the constraint decides a race.
    if conn.sql(TAKEN).bind(new.email_hash.clone()).one(|row| row.take::<i64>()).await? > 0 {
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
        .bind(new.role.number())
        .bind(new.created_at.micros())
        .bind(new.added_by.map(UserId::uuid))
        .execute()
        .await;
    match inserted {
        Err(error) if error.is_duplicate() => Err(email_taken()),
        other => Ok(other.map(|_| ())?),
    }?;
    Ok(set_details(conn, new.card.id, &new.details).await?)
}

fn email_taken() -> Problem {
    Problem::conflict("email_taken", "There is an account with this e-mail address already.")
        .field("email", "This e-mail address is taken.")
}

/// Gives an account another e-mail address; 409 if it is taken.
pub async fn set_email(
    conn: &mut Conn,
    owner: UserId,
    hash: &[u8],
    email: &Ciphertext,
) -> Result<(), Problem> {
    const TAKEN: &str = "SELECT count(*) FROM accounts WHERE email_hash = $1 AND user_id <> $2";
    const UPDATE: &str = "UPDATE accounts SET email_hash = $2, email = $3, email_key_id = $4
        WHERE user_id = $1";
    let taken = conn.sql(TAKEN).bind(hash.to_vec()).bind(owner.uuid());
    if taken.one(|row| row.take::<i64>()).await? > 0 {
        return Err(email_taken());
    }
    let updated = conn
        .sql(UPDATE)
        .bind(owner.uuid())
        .bind(hash.to_vec())
        .bind(email.token().to_owned())
        .bind(email.key().number())
        .execute()
        .await;
    match updated {
        Err(error) if error.is_duplicate() => Err(email_taken()),
        other => Ok(other.map(|_| ())?),
    }
}

/// Writes the private details of an account.
pub async fn set_details(
    conn: &mut Conn,
    owner: UserId,
    details: &Details<Option<Ciphertext>>,
) -> Result<()> {
    const UPDATE: &str = "UPDATE accounts SET dob = $2, dob_key_id = $3, phone_number = $4,
        phone_number_key_id = $5, emergency_contact = $6, emergency_contact_key_id = $7
        WHERE user_id = $1";
    let Details { dob, phone_number, emergency_contact } = details;
    let query = conn.sql(UPDATE).bind(owner.uuid());
    let query = [dob, phone_number, emergency_contact].into_iter().fold(query, |query, sealed| {
        let token = sealed.as_ref().map(|sealed| sealed.token().to_owned());
        query.bind(token).bind(sealed.as_ref().map(|sealed| sealed.key().number()))
    });
    query.execute().await.map(|_| ())
}

/// Gives an account another role.
pub async fn set_role(conn: &mut Conn, user: UserId, role: AccountRole) -> Result<()> {
    const UPDATE: &str = "UPDATE accounts SET role = $2 WHERE user_id = $1";
    conn.sql(UPDATE).bind(user.uuid()).bind(role.number()).execute().await.map(|_| ())
}

/// The active admins, who stay what they are until the transaction ends.
pub async fn lock_admins(conn: &mut Conn) -> Result<Vec<UserId>> {
    const SELECT: &str = "SELECT a.user_id FROM accounts a JOIN users u ON u.id = a.user_id
        WHERE a.role = 1 AND u.is_active ORDER BY a.user_id";
    // On SQLite nobody else writes meanwhile.
    let lock = if conn.is_postgres() { " FOR UPDATE" } else { "" };
    conn.sql_built(format!("{SELECT}{lock}")).all(|row| row.id()).await
}

macro_rules! select_account {
    ($where:literal) => {
        concat!(
            "SELECT u.id, u.username, u.app, u.first_name, u.last_name, u.picture,
                a.email, a.email_key_id, a.password_hash, a.role, u.is_active, a.read_receipts,
                a.created_at,
                a.dob, a.dob_key_id, a.phone_number, a.phone_number_key_id, a.emergency_contact,
                a.emergency_contact_key_id, b.id, b.username, b.first_name, b.last_name, ba.role
             FROM accounts a JOIN users u ON u.id = a.user_id
             LEFT JOIN users b ON b.id = a.added_by
             LEFT JOIN accounts ba ON ba.user_id = a.added_by ",
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
        role: row.number()?,
        is_active: row.take()?,
        read_receipts: row.take()?,
        created_at: row.time()?,
        details: Details {
            dob: sealed(row)?,
            phone_number: sealed(row)?,
            emergency_contact: sealed(row)?,
        },
        added_by: added_by(row)?,
    })
}

fn sealed(row: &Row) -> Result<Option<Ciphertext>> {
    let (token, key): (Option<String>, Option<i64>) = (row.take()?, row.take()?);
    Ok(token.zip(key).map(|(token, key)| Ciphertext::stored(key, token)))
}

fn added_by(row: &Row) -> Result<Option<AddedBy>> {
    let Some(id) = row.take::<Option<Uuid>>()? else { return Ok(None) };
    Ok(Some(AddedBy {
        id: id.into(),
        username: row.parse()?,
        first_name: row.take::<String>()?.into(),
        last_name: row.take::<String>()?.into(),
        role: row.number()?,
    }))
}

/// The account of a user of this app.
pub async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<Account>> {
    const SELECT: &str = select_account!("WHERE a.user_id = $1");
    conn.sql(SELECT).bind(id.uuid()).optional(account).await
}

/// The accounts of users of this app, in no order.
pub async fn by_ids(conn: &mut Conn, ids: &[UserId]) -> Result<Vec<Account>> {
    const SELECT: &str = select_account!("WHERE a.user_id IN ({})");
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    conn.sql_in(SELECT, &[], &ids).all(account).await
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
         WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND u.is_active"
    );
    conn.sql(SELECT).bind(session.uuid()).bind(now.micros()).optional(account).await
}

/// The user of a living session.
pub async fn session_user(
    conn: &mut Conn,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<SessionUser>> {
    const SELECT: &str =
        "SELECT u.id, u.username, u.app, u.first_name, u.last_name, u.picture, a.role
        FROM sessions s JOIN accounts a ON a.user_id = s.user_id JOIN users u ON u.id = s.user_id
        WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND u.is_active";
    let user = |row: &Row| Ok(SessionUser { card: users::card(row)?, role: row.number()? });
    conn.sql(SELECT).bind(session.uuid()).bind(now.micros()).optional(user).await
}

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

/// For how long a place is known from which an account is not used any more.
const KNOWN: Duration = Duration::from_hours(90 * 24);

/// Whether an account has been used from a place in the last three months.
pub async fn knows_place(
    conn: &mut Conn,
    user: Uuid,
    place: &[u8],
    now: Timestamp,
) -> Result<bool> {
    const SELECT: &str = "SELECT count(*) FROM known_places
        WHERE user_id = $1 AND place = $2 AND used_at > $3";
    let query = conn.sql(SELECT).bind(user).bind(place.to_vec()).bind(now.before(KNOWN).micros());
    Ok(query.one(|row| row.take::<i64>()).await? > 0)
}

/// An account is used from a place; those where it has not been for long are forgotten.
pub async fn know_place(conn: &mut Conn, user: UserId, place: &[u8], now: Timestamp) -> Result<()> {
    const FORGET: &str = "DELETE FROM known_places WHERE user_id = $1 AND used_at <= $2";
    const UPSERT: &str = "INSERT INTO known_places (user_id, place, used_at) VALUES ($1, $2, $3)
        ON CONFLICT (user_id, place) DO UPDATE SET used_at = excluded.used_at";
    conn.sql(FORGET).bind(user.uuid()).bind(now.before(KNOWN).micros()).execute().await?;
    let query = conn.sql(UPSERT).bind(user.uuid()).bind(place.to_vec()).bind(now.micros());
    query.execute().await.map(|_| ())
}

/// As [`know_place`], for the account of a session.
pub async fn know_place_of(
    conn: &mut Conn,
    session: SessionId,
    place: &[u8],
    now: Timestamp,
) -> Result<()> {
    const SELECT: &str = "SELECT user_id FROM sessions WHERE id = $1";
    let user = conn.sql(SELECT).bind(session.uuid()).one(|row| row.id()).await?;
    know_place(conn, user, place, now).await
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
    let but = but.map_or(Uuid::nil(), SessionId::uuid);
    let query = conn.sql(UPDATE).bind(owner.uuid()).bind(now.micros()).bind(but);
    query.all(|row| row.id()).await
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

/// Switches on or off that others are told what a user has read.
pub async fn set_read_receipts(conn: &mut Conn, user: UserId, on: bool) -> Result<()> {
    const UPDATE: &str = "UPDATE accounts SET read_receipts = $2 WHERE user_id = $1";
    conn.sql(UPDATE).bind(user.uuid()).bind(on).execute().await.map(|_| ())
}

/// Gives an account another password.
pub async fn set_password(conn: &mut Conn, owner: UserId, hash: &str) -> Result<()> {
    const UPDATE: &str = "UPDATE accounts SET password_hash = $2 WHERE user_id = $1";
    conn.sql(UPDATE).bind(owner.uuid()).bind(hash.to_owned()).execute().await.map(|_| ())
}

/// The session of a refresh token, spent or not, ended or not.
pub async fn session_of(conn: &mut Conn, hash: &[u8]) -> Result<Option<SessionId>> {
    const SELECT: &str = "SELECT session_id FROM refresh_tokens WHERE hash = $1";
    conn.sql(SELECT).bind(hash.to_vec()).optional(|row| row.id()).await
}

/// Whether a refresh token is there and has not been spent.
pub async fn is_unspent(conn: &mut Conn, hash: &[u8]) -> Result<bool> {
    const SELECT: &str = "SELECT count(*) FROM refresh_tokens WHERE hash = $1 AND spent_at IS NULL";
    Ok(conn.sql(SELECT).bind(hash.to_vec()).one(|row| row.take::<i64>()).await? > 0)
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
