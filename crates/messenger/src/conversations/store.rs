use shared::address::AppName;
use shared::id::{ConversationId, MessageId, UserId};
use shared::models::{ConversationKind, Participant, Role, UserCard};
use shared::relay::ConversationState;
use shared::time::Timestamp;
use uuid::Uuid;

use super::{Member, group};
use crate::db::{Conn, Insert, Result, Row};
use crate::http::Window;
use crate::messages::unread;
use crate::users;

static TWO: Insert = Insert::new(
    "INSERT INTO participants
        (conversation_id, user_id, role, joined_at, changed_at, changed_app)",
    6,
    "ON CONFLICT (conversation_id, user_id) DO NOTHING",
);

/// Adds the head of a conversation that a user of `app` has begun; `false` if it is there already.
pub async fn insert(
    conn: &mut Conn,
    id: ConversationId,
    kind: ConversationKind,
    created_by: UserId,
    created_at: Timestamp,
    app: &AppName,
) -> Result<bool> {
    const INSERT: &str = "INSERT INTO conversations
        (id, kind, title_at, title_app, created_by, created_at, changed_at)
        VALUES ($1, $2, $3, $4, $5, $3, $3) ON CONFLICT (id) DO NOTHING";
    let inserted = conn
        .sql(INSERT)
        .bind(id.uuid())
        .bind(kind.number())
        .bind(created_at.micros())
        .bind(app.to_string())
        .bind(created_by.uuid())
        .execute()
        .await?;
    Ok(inserted == 1)
}

/// Adds the two of a direct conversation.
pub async fn insert_two(
    conn: &mut Conn,
    id: ConversationId,
    two: &[UserId],
    at: Timestamp,
    app: &AppName,
) -> Result<()> {
    TWO.all(conn, two, |query, user| {
        query
            .bind(id.uuid())
            .bind(user.uuid())
            .bind(Role::Member.number())
            .bind(at.micros())
            .bind(at.micros())
            .bind(app.to_string())
    })
    .await
    .map(|_| ())
}

/// Two sides may begin the same direct conversation; both come to agree that the earlier one did.
pub async fn merge_founding(
    conn: &mut Conn,
    id: ConversationId,
    created_by: UserId,
    created_at: Timestamp,
) -> Result<()> {
    const HEAD: &str = "UPDATE conversations SET created_by = $2, created_at = $3
        WHERE id = $1 AND (created_at > $3 OR (created_at = $3 AND created_by > $2))";
    const TWO: &str = "UPDATE participants SET joined_at = $2
        WHERE conversation_id = $1 AND joined_at > $2";
    let head = conn.sql(HEAD).bind(id.uuid()).bind(created_by.uuid()).bind(created_at.micros());
    head.execute().await?;
    conn.sql(TWO).bind(id.uuid()).bind(created_at.micros()).execute().await.map(|_| ())
}

/// When a conversation began.
pub async fn began_at(conn: &mut Conn, id: ConversationId) -> Result<Option<Timestamp>> {
    const SELECT: &str = "SELECT created_at FROM conversations WHERE id = $1";
    conn.sql(SELECT).bind(id.uuid()).optional(|row| row.time()).await
}

/// What membership tells of a conversation: its kind, when it was ended, and who takes or took part.
pub type Company = (ConversationKind, Option<Timestamp>, Vec<Member>);

/// Who takes or took part in a conversation; `None` if there is no such conversation.
pub async fn company(conn: &mut Conn, id: ConversationId) -> Result<Option<Company>> {
    const SELECT: &str = "SELECT c.kind, c.ended_at, p.user_id, u.app, p.role, p.left_at
        FROM conversations c
        JOIN participants p ON p.conversation_id = c.id
        JOIN users u ON u.id = p.user_id WHERE c.id = $1";
    let read = |row: &Row| {
        let head = (row.number()?, row.maybe_time()?);
        let member = Member {
            user: row.id()?,
            app: row.parse()?,
            role: row.number()?,
            left_at: row.maybe_time()?,
        };
        Ok((head, member))
    };
    let rows = conn.sql(SELECT).bind(id.uuid()).all(read).await?;
    let head = rows.first().map(|(head, _)| *head);
    let members = rows.into_iter().map(|(_, member)| member).collect();
    Ok(head.map(|(kind, ended_at)| (kind, ended_at, members)))
}

/// What identifies a conversation: its kind, and who began it.
pub async fn kind_and_founder(
    conn: &mut Conn,
    id: ConversationId,
) -> Result<Option<(ConversationKind, UserCard)>> {
    const SELECT: &str =
        "SELECT c.kind, u.id, u.username, u.app, u.first_name, u.last_name, u.picture
        FROM conversations c JOIN users u ON u.id = c.created_by WHERE c.id = $1";
    let read = |row: &Row| Ok((row.number()?, users::card(row)?));
    conn.sql(SELECT).bind(id.uuid()).optional(read).await
}

/// A conversation without its participants.
pub struct Head {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub changed_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub created_by: UserCard,
    pub last_message: Option<MessageId>,
    pub unread_count: i64,
}

/// The heads of those of the conversations that the user takes or took part in.
pub async fn heads(conn: &mut Conn, ids: &[ConversationId], user: UserId) -> Result<Vec<Head>> {
    const SELECT: &str = concat!(
        "SELECT c.id, c.kind, c.title, c.changed_at, c.ended_at, c.created_at,
            u.id, u.username, u.app, u.first_name, u.last_name, u.picture,
            (SELECT m.id FROM messages m WHERE m.conversation_id = c.id
                AND (p.left_at IS NULL OR m.created_at <= p.left_at)
                ORDER BY m.created_at DESC, m.id DESC LIMIT 1),
            (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id
                AND m.sender_id <> p.user_id AND ",
        unread!("m"),
        "
                AND (p.left_at IS NULL OR m.created_at <= p.left_at))
        FROM conversations c
        JOIN participants p ON p.conversation_id = c.id AND p.user_id = $1
        JOIN users u ON u.id = c.created_by
        WHERE c.id IN ({})"
    );
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let head = |row: &Row| {
        Ok(Head {
            id: row.id()?,
            kind: row.number()?,
            title: row.take()?,
            changed_at: row.time()?,
            ended_at: row.maybe_time()?,
            created_at: row.time()?,
            created_by: users::card(row)?,
            last_message: row.take::<Option<Uuid>>()?.map(MessageId::from),
            unread_count: row.take()?,
        })
    };
    conn.sql_in(SELECT, &[user.uuid()], &ids).all(head).await
}

/// The participants of several conversations, in the order in which they joined.
pub async fn participants(
    conn: &mut Conn,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, Participant)>> {
    const SELECT: &str = "SELECT p.conversation_id, u.id, u.username, u.app, u.first_name,
            u.last_name, u.picture, p.role, p.joined_at, p.left_at
        FROM participants p JOIN users u ON u.id = p.user_id
        WHERE p.conversation_id IN ({}) ORDER BY p.joined_at, u.username_key, u.app";
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let participant = |row: &Row| {
        let id = row.id()?;
        let user = users::card(row)?;
        let (role, joined_at, left_at) = (row.number()?, row.time()?, row.maybe_time()?);
        Ok((id, Participant { user, role, joined_at, left_at }))
    };
    conn.sql_in(SELECT, &[], &ids).all(participant).await
}

/// What a list of conversations is ordered by; of two that are equal in that, the id decides.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// The latest activity first.
    UpdatedLast,
    /// The latest activity last.
    UpdatedFirst,
    /// The newest first.
    CreatedLast,
    /// The newest last.
    CreatedFirst,
}

impl Order {
    fn is_ascending(self) -> bool {
        matches!(self, Self::UpdatedFirst | Self::CreatedFirst)
    }

    fn is_by_creation(self) -> bool {
        matches!(self, Self::CreatedLast | Self::CreatedFirst)
    }
}

/// The conversations `c` that a user is shown in lists, by their participation `p`: all that they have not left, but
/// direct ones that they have hidden only if a message has come since. Messages are counted, as a moment would say
/// nothing where the clocks of two apps differ.
macro_rules! listed {
    () => {
        "FROM participants p JOIN conversations c ON c.id = p.conversation_id
         WHERE p.user_id = $1 AND p.left_at IS NULL AND (p.hidden_at_count IS NULL OR
            (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) > p.hidden_at_count)"
    };
}

/// How many conversations a user is shown.
pub async fn count_of_user(conn: &mut Conn, user: UserId) -> Result<i64> {
    const COUNT: &str = concat!("SELECT count(*) ", listed!());
    conn.sql(COUNT).bind(user.uuid()).one(|row| row.take()).await
}

/// By what the list of conversations is ordered: by a moment of theirs, as things were at another moment, which is that
/// of the first page, so that what happens between two pages moves nothing.
pub type Key = (Timestamp, ConversationId, Timestamp);

/// Some of the conversations that a user is shown, beyond the place of the window.
pub async fn page_of_user(
    conn: &mut Conn,
    user: UserId,
    order: Order,
    window: &Window<Key>,
    (limit, offset): (i64, i64),
    now: Timestamp,
) -> Result<Vec<Key>> {
    const CREATED: &str = "c.created_at";
    const UPDATED: &str = "CASE WHEN c.changed_at <= $2 THEN c.changed_at ELSE c.created_at END";
    let asof = window.after.map_or(now, |(_, _, asof)| asof);
    let ascending = order.is_ascending() != window.backwards;
    let (direction, beyond) = if ascending { ("ASC", ">") } else { ("DESC", "<") };
    let after = if window.after.is_some() {
        format!("WHERE (moment, id) {beyond} ($5, $6)")
    } else {
        String::new()
    };
    let (changed_at, last_at) = if order.is_by_creation() {
        (CREATED, "0")
    } else {
        let last = "COALESCE((SELECT max(m.created_at) FROM messages m
            WHERE m.conversation_id = c.id AND m.created_at <= $2), 0)";
        (UPDATED, last)
    };
    let text = format!(
        "SELECT moment, id FROM (
            SELECT id, CASE WHEN last_at > changed_at THEN last_at ELSE changed_at END AS moment
            FROM (SELECT c.id, {changed_at} AS changed_at, {last_at} AS last_at {}
                AND c.created_at <= $2) a) b
         {after} ORDER BY moment {direction}, id {direction} LIMIT $3 OFFSET $4",
        listed!()
    );
    let query = conn.sql_built(text).bind(user.uuid()).bind(asof.micros());
    let mut query = query.bind(limit).bind(offset);
    if let Some((moment, id, _)) = window.after {
        query = query.bind(moment.micros()).bind(id.uuid());
    }
    query.all(|row| Ok((row.time()?, row.id()?, asof))).await
}

/// The titles of the conversations that a user is shown.
pub async fn titles(
    conn: &mut Conn,
    user: UserId,
) -> Result<Vec<(ConversationId, Option<String>)>> {
    const SELECT: &str = concat!("SELECT c.id, c.title ", listed!());
    conn.sql(SELECT).bind(user.uuid()).all(|row| Ok((row.id()?, row.take()?))).await
}

/// The names of those who take part in the conversations that a user is shown: username, first and last name.
pub async fn names(conn: &mut Conn, user: UserId) -> Result<Vec<(ConversationId, [String; 3])>> {
    const SELECT: &str = concat!(
        "SELECT q.conversation_id, u.username, u.first_name, u.last_name
         FROM participants q JOIN users u ON u.id = q.user_id
         WHERE q.left_at IS NULL AND q.conversation_id IN (SELECT c.id ",
        listed!(),
        ")"
    );
    let names = |row: &Row| Ok((row.id()?, [row.take()?, row.take()?, row.take()?]));
    conn.sql(SELECT).bind(user.uuid()).all(names).await
}

/// Takes a conversation out of the list of a participant until another message is there.
pub async fn hide(conn: &mut Conn, id: ConversationId, user: UserId) -> Result<()> {
    const UPDATE: &str = "UPDATE participants SET hidden_at_count =
            (SELECT count(*) FROM messages m WHERE m.conversation_id = $1)
        WHERE conversation_id = $1 AND user_id = $2";
    conn.sql(UPDATE).bind(id.uuid()).bind(user.uuid()).execute().await.map(|_| ())
}

/// Takes a conversation back into the list of a participant.
pub async fn show(conn: &mut Conn, id: ConversationId, user: UserId) -> Result<()> {
    const UPDATE: &str = "UPDATE participants SET hidden_at_count = NULL
        WHERE conversation_id = $1 AND user_id = $2 AND hidden_at_count IS NOT NULL";
    conn.sql(UPDATE).bind(id.uuid()).bind(user.uuid()).execute().await.map(|_| ())
}

/// Messages of others after the read position of a participant.
pub async fn unread(conn: &mut Conn, id: ConversationId, user: UserId) -> Result<i64> {
    Ok(heads(conn, &[id], user).await?.first().map_or(0, |head| head.unread_count))
}

/// All that this app knows of a conversation, for a peer.
pub async fn state(conn: &mut Conn, id: ConversationId) -> Result<Option<ConversationState>> {
    const USERS: &str = "SELECT id, username, app, first_name, last_name, picture FROM users
        WHERE id IN (
            SELECT user_id FROM participants WHERE conversation_id = $1
            UNION SELECT user_id FROM changes WHERE conversation_id = $1
            UNION SELECT actor_id FROM changes WHERE conversation_id = $1)";
    let Some(beginning) = group::beginning(conn, id).await? else { return Ok(None) };
    let entries = group::entries(conn, id).await?;
    Ok(Some(ConversationState {
        id,
        kind: beginning.kind,
        created_by: beginning.founder,
        created_at: beginning.created_at,
        users: conn.sql(USERS).bind(id.uuid()).all(users::card).await?,
        changes: entries.into_iter().map(|entry| entry.change).collect(),
    }))
}
