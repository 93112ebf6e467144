use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use shared::address::AppName;
use shared::id::UserId;
use shared::models::{PictureVersion, UserCard, fold};
use shared::relay::UserState;
use shared::time::Timestamp;
use uuid::Uuid;

use super::query::{Place, UserQuery};
use crate::db::{Conn, Error, Result, Row};
use crate::http::Window;

/// Columns of a card.
const CARD: usize = 6;

/// Reads `id, username, app, first_name, last_name, picture`.
pub fn card(row: &Row) -> Result<UserCard> {
    card_of(row.id()?, row)
}

fn card_of(id: UserId, row: &Row) -> Result<UserCard> {
    Ok(UserCard {
        id,
        username: row.parse()?,
        app: row.parse()?,
        first_name: Arc::from(row.take::<String>()?),
        last_name: Arc::from(row.take::<String>()?),
        picture: picture(row)?,
    })
}

/// The cards in the rows of a list, where most users stand many times: each is read once.
#[derive(Default)]
pub struct Cards(RefCell<HashMap<UserId, UserCard>>);

impl Cards {
    /// Reads what [`card`] reads.
    pub fn read(&self, row: &Row) -> Result<UserCard> {
        let id = row.id()?;
        if let Some(known) = self.0.borrow().get(&id) {
            row.skip(CARD - 1);
            return Ok(known.clone());
        }
        let card = card_of(id, row)?;
        self.0.borrow_mut().insert(id, card.clone());
        Ok(card)
    }
}

fn picture(row: &Row) -> Result<Option<PictureVersion>> {
    let version = row.take::<Option<String>>()?.map(|version| version.parse());
    version.transpose().map_err(|error| Error::Value(format!("{error}")))
}

/// What a search looks in.
fn search_key(user: &UserCard) -> String {
    let names = fold(&format!("{} {}", user.first_name, user.last_name));
    format!("{}\n{names}", user.username.key())
}

/// Adds a user of this app; `false` if the name is taken.
pub async fn insert_local(conn: &mut Conn, user: &UserCard, now: Timestamp) -> Result<bool> {
    insert(conn, user, true, now).await
}

async fn insert(conn: &mut Conn, user: &UserCard, vouched: bool, now: Timestamp) -> Result<bool> {
    const INSERT: &str = "INSERT INTO users
        (id, app, username, username_key, first_name, last_name, vouched, created_at, picture,
         search_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
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
        .bind(user.picture.as_ref().map(PictureVersion::to_string))
        .bind(search_key(user))
        .execute()
        .await?;
    Ok(added == 1)
}

/// The user with an id.
pub async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<UserCard>> {
    const SELECT: &str =
        "SELECT id, username, app, first_name, last_name, picture FROM users WHERE id = $1";
    conn.sql(SELECT).bind(id.uuid()).optional(card).await
}

/// The user with a name in an app.
pub async fn by_name(conn: &mut Conn, app: &str, key: &str) -> Result<Option<UserCard>> {
    const SELECT: &str = "SELECT id, username, app, first_name, last_name, picture FROM users
        WHERE app = $1 AND username_key = $2";
    conn.sql(SELECT).bind(app.to_owned()).bind(key.to_owned()).optional(card).await
}

/// A user with what their app tells others of them.
fn state_row(row: &Row) -> Result<UserState> {
    Ok(UserState { user: card(row)?, is_active: row.take()?, changed_at: row.time()? })
}

/// What this app would tell others of a user.
pub async fn state(conn: &mut Conn, id: UserId) -> Result<Option<UserState>> {
    const SELECT: &str = "SELECT id, username, app, first_name, last_name, picture, is_active,
        changed_at FROM users WHERE id = $1";
    conn.sql(SELECT).bind(id.uuid()).optional(state_row).await
}

/// The same, of the user with a name in an app.
pub async fn state_by_name(conn: &mut Conn, app: &str, key: &str) -> Result<Option<UserState>> {
    const SELECT: &str = "SELECT id, username, app, first_name, last_name, picture, is_active,
        changed_at FROM users WHERE app = $1 AND username_key = $2";
    conn.sql(SELECT).bind(app.to_owned()).bind(key.to_owned()).optional(state_row).await
}

/// The same, of several.
pub async fn states(conn: &mut Conn, ids: &[UserId]) -> Result<Vec<UserState>> {
    const SELECT: &str = "SELECT id, username, app, first_name, last_name, picture, is_active,
        changed_at FROM users WHERE id IN ({})";
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    conn.sql_in(SELECT, &[], &ids).all(state_row).await
}

macro_rules! own_users {
    () => {
        " FROM users u JOIN accounts a ON a.user_id = u.id
          WHERE u.app = $1 AND u.search_key LIKE $2 ESCAPE '!' AND ($3 < 0 OR a.role = $3)
            AND (u.is_active = $4 OR u.is_active = $5)"
    };
}

/// How many users of this app a query finds.
pub async fn count(conn: &mut Conn, own: &AppName, query: &UserQuery) -> Result<i64> {
    const COUNT: &str = concat!("SELECT count(*)", own_users!());
    let (active, other) = query.activity();
    conn.sql(COUNT)
        .bind(own.to_string())
        .bind(query.pattern())
        .bind(query.role_number())
        .bind(active)
        .bind(other)
        .one(|row| row.take())
        .await
}

/// Some of the users of this app that a query finds, in its order.
pub async fn page(
    conn: &mut Conn,
    own: &AppName,
    query: &UserQuery,
    window: &Window<Place>,
) -> Result<Vec<UserState>> {
    const SELECT: &str = concat!(
        "SELECT u.id, u.username, u.app, u.first_name, u.last_name, u.picture, u.is_active,
            u.changed_at",
        own_users!()
    );
    let column = query.order.column();
    let ascending = query.order.is_descending() == window.backwards;
    let (direction, beyond) = if ascending { ("ASC", ">=") } else { ("DESC", "<=") };
    // One with the same name, of another app, may stand between the last page and this app's own.
    let (after, more) = match window.after {
        Some(_) => (format!("AND {column} {beyond} $8"), 1),
        None => (String::new(), 0),
    };
    let text = format!("{SELECT} {after} ORDER BY {column} {direction} LIMIT $6 OFFSET $7");
    let (active, other) = query.activity();
    let statement = conn
        .sql_built(text)
        .bind(own.to_string())
        .bind(query.pattern())
        .bind(query.role_number())
        .bind(active)
        .bind(other)
        .bind(window.limit + more)
        .bind(window.offset);
    let statement = match &window.after {
        Some(place) => match Uuid::try_parse(&place.key).ok().filter(|_| column == "u.id") {
            Some(id) => statement.bind(id),
            None => statement.bind(place.key.clone()),
        },
        None => statement,
    };
    statement.all(state_row).await
}

/// Marks that a user of this app changes now; nobody else changes them until the transaction ends.
pub async fn touch(conn: &mut Conn, id: UserId, now: Timestamp) -> Result<()> {
    // The clocks of two replicas may differ; a later change has a later moment all the same.
    const UPDATE: &str = "UPDATE users SET changed_at = CASE WHEN changed_at < $2 THEN $2
        ELSE changed_at + 1 END WHERE id = $1";
    conn.sql(UPDATE).bind(id.uuid()).bind(now.micros()).execute().await.map(|_| ())
}

/// Writes the names and the picture of a user.
pub async fn set_card(conn: &mut Conn, user: &UserCard) -> Result<()> {
    const UPDATE: &str = "UPDATE users SET first_name = $2, last_name = $3, picture = $4,
        search_key = $5 WHERE id = $1";
    conn.sql(UPDATE)
        .bind(user.id.uuid())
        .bind(user.first_name.to_string())
        .bind(user.last_name.to_string())
        .bind(user.picture.as_ref().map(PictureVersion::to_string))
        .bind(search_key(user))
        .execute()
        .await
        .map(|_| ())
}

/// Writes whether a user is active.
pub async fn set_active(conn: &mut Conn, id: UserId, active: bool) -> Result<()> {
    const UPDATE: &str = "UPDATE users SET is_active = $2 WHERE id = $1";
    conn.sql(UPDATE).bind(id.uuid()).bind(active).execute().await.map(|_| ())
}

/// Writes what the user's own app has said besides the card, and when.
pub async fn set_word(conn: &mut Conn, state: &UserState) -> Result<()> {
    const UPDATE: &str = "UPDATE users SET is_active = $2, changed_at = $3 WHERE id = $1";
    conn.sql(UPDATE)
        .bind(state.user.id.uuid())
        .bind(state.is_active)
        .bind(state.changed_at.micros())
        .execute()
        .await
        .map(|_| ())
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
    const KNOWN: &str =
        "SELECT id, username, app, first_name, last_name, picture, vouched FROM users
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
        picture = $6, search_key = $7, vouched = TRUE WHERE id = $1";
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
                .bind(user.picture.as_ref().map(PictureVersion::to_string))
                .bind(search_key(user))
                .execute()
                .await?;
        }
    }
    Ok(user.clone())
}
