use shared::id::{ConversationId, MessageId, UserId};
use shared::models::{ConversationKind, Participant, Role, UserCard};
use shared::relay::{Change, ConversationState, ParticipantState};
use shared::time::Timestamp;
use uuid::Uuid;

use super::Member;
use crate::db::{Conn, Insert, Result, Row};
use crate::http::Window;
use crate::messages::unread;
use crate::users;

/// A conversation that is to begin.
pub struct Founding {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub created_by: UserId,
    pub participants: Vec<(UserId, Role)>,
    pub change: Change,
}

static PARTICIPANTS: Insert = Insert::new(
    "INSERT INTO participants
        (conversation_id, user_id, role, joined_at, left_at, changed_at, changed_app) VALUES",
    7,
    "ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role,
        joined_at = excluded.joined_at, left_at = excluded.left_at,
        changed_at = excluded.changed_at, changed_app = excluded.changed_app
     WHERE participants.changed_at < excluded.changed_at OR (participants.changed_at =
        excluded.changed_at AND participants.changed_app < excluded.changed_app)",
);

/// Begins a conversation on this app; `false` if it is there already.
pub async fn found(conn: &mut Conn, founding: &Founding) -> Result<bool> {
    let Founding { id, kind, title, created_by, participants, change } = founding;
    let inserted =
        insert(conn, *id, *kind, title.as_deref(), change, *created_by, change.at).await?;
    if inserted {
        PARTICIPANTS
            .all(conn, participants, |query, (user, role)| {
                query
                    .bind(id.uuid())
                    .bind(user.uuid())
                    .bind(role.number())
                    .bind(change.at.micros())
                    .bind(None::<i64>)
                    .bind(change.at.micros())
                    .bind(change.app.to_string())
            })
            .await?;
    }
    Ok(inserted)
}

/// Adds the head of a conversation; `false` if it is there already.
pub async fn insert(
    conn: &mut Conn,
    id: ConversationId,
    kind: ConversationKind,
    title: Option<&str>,
    title_change: &Change,
    created_by: UserId,
    created_at: Timestamp,
) -> Result<bool> {
    const INSERT: &str = "INSERT INTO conversations
        (id, kind, title, title_at, title_app, created_by, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";
    let inserted = conn
        .sql(INSERT)
        .bind(id.uuid())
        .bind(kind.number())
        .bind(title.map(str::to_owned))
        .bind(title_change.at.micros())
        .bind(title_change.app.to_string())
        .bind(created_by.uuid())
        .bind(created_at.micros())
        .execute()
        .await?;
    Ok(inserted == 1)
}

/// Merges memberships into those that are there: each is a register, and the later change wins.
pub async fn merge_participants(
    conn: &mut Conn,
    id: ConversationId,
    participants: &[ParticipantState],
) -> Result<()> {
    PARTICIPANTS
        .all(conn, participants, |query, state| {
            query
                .bind(id.uuid())
                .bind(state.user.id.uuid())
                .bind(state.role.number())
                .bind(state.joined_at.micros())
                .bind(state.left_at.map(Timestamp::micros))
                .bind(state.change.at.micros())
                .bind(state.change.app.to_string())
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
    const UPDATE: &str = "UPDATE conversations SET created_by = $2, created_at = $3
        WHERE id = $1 AND (created_at > $3 OR (created_at = $3 AND created_by > $2))";
    conn.sql(UPDATE)
        .bind(id.uuid())
        .bind(created_by.uuid())
        .bind(created_at.micros())
        .execute()
        .await
        .map(|_| ())
}

/// Who takes or took part in a conversation; nobody, if there is none.
pub async fn members(conn: &mut Conn, id: ConversationId) -> Result<Vec<Member>> {
    const SELECT: &str = "SELECT p.user_id, u.app, p.role, p.left_at
        FROM participants p JOIN users u ON u.id = p.user_id WHERE p.conversation_id = $1";
    let member = |row: &Row| {
        Ok(Member {
            user: row.id()?,
            app: row.parse()?,
            role: row.number()?,
            active: row.maybe_time()?.is_none(),
        })
    };
    conn.sql(SELECT).bind(id.uuid()).all(member).await
}

/// What identifies a conversation: its kind, and who began it.
pub async fn kind_and_founder(
    conn: &mut Conn,
    id: ConversationId,
) -> Result<Option<(ConversationKind, UserCard)>> {
    const SELECT: &str = "SELECT c.kind, u.id, u.username, u.app, u.first_name, u.last_name
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
    pub created_at: Timestamp,
    pub created_by: UserCard,
    pub last_message: Option<MessageId>,
    pub unread_count: i64,
}

/// The heads of those of the conversations that the user takes or took part in.
pub async fn heads(conn: &mut Conn, ids: &[ConversationId], user: UserId) -> Result<Vec<Head>> {
    const SELECT: &str = concat!(
        "SELECT c.id, c.kind, c.title, c.title_at, c.created_at,
            u.id, u.username, u.app, u.first_name, u.last_name,
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
            u.last_name, p.role, p.joined_at, p.left_at
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

/// How many conversations a user takes part in.
pub async fn count_of_user(conn: &mut Conn, user: UserId) -> Result<i64> {
    const COUNT: &str = "SELECT count(*) FROM participants WHERE user_id = $1 AND left_at IS NULL";
    conn.sql(COUNT).bind(user.uuid()).one(Row::take).await
}

/// By what the list of conversations is ordered: by the latest activity before a moment, which is that of the first
/// page, so that what happens between two pages moves nothing.
pub type Key = (Timestamp, ConversationId, Timestamp);

/// Some of the conversations that a user takes part in, the latest activity first, as they were at the moment `asof`.
pub async fn page_of_user(
    conn: &mut Conn,
    user: UserId,
    window: &Window<Key>,
    now: Timestamp,
) -> Result<Vec<Key>> {
    let asof = window.after.map_or(now, |(_, _, asof)| asof);
    let (direction, beyond) = if window.backwards { ("ASC", ">") } else { ("DESC", "<") };
    let after = if window.after.is_some() {
        format!("WHERE (activity, id) {beyond} ($5, $6)")
    } else {
        String::new()
    };
    let text = format!(
        "SELECT activity, id FROM (
            SELECT c.id, MAX_OF(
                COALESCE((SELECT max(m.created_at) FROM messages m
                    WHERE m.conversation_id = c.id AND m.created_at <= $2), 0),
                CASE WHEN c.title_at <= $2 THEN c.title_at ELSE c.created_at END) AS activity
            FROM participants p JOIN conversations c ON c.id = p.conversation_id
            WHERE p.user_id = $1 AND p.left_at IS NULL) a
         {after} ORDER BY activity {direction}, id {direction} LIMIT $3 OFFSET $4"
    );
    let text = text.replace("MAX_OF", if conn.is_postgres() { "GREATEST" } else { "max" });
    let query = conn.sql_built(text).bind(user.uuid()).bind(asof.micros());
    let mut query = query.bind(window.limit).bind(window.offset);
    if let Some((activity, id, _)) = window.after {
        query = query.bind(activity.micros()).bind(id.uuid());
    }
    query.all(|row| Ok((row.time()?, row.id()?, asof))).await
}

/// Messages of others after the read position of a participant.
pub async fn unread(conn: &mut Conn, id: ConversationId, user: UserId) -> Result<i64> {
    Ok(heads(conn, &[id], user).await?.first().map_or(0, |head| head.unread_count))
}

fn change(row: &Row) -> Result<Change> {
    Ok(Change { at: row.time()?, app: row.parse()? })
}

/// All that this app knows of a conversation, for a peer.
pub async fn state(conn: &mut Conn, id: ConversationId) -> Result<Option<ConversationState>> {
    const HEAD: &str = "SELECT kind, title, title_at, title_app, created_by, created_at
        FROM conversations WHERE id = $1";
    const PARTICIPANTS: &str = "SELECT u.id, u.username, u.app, u.first_name, u.last_name,
            p.role, p.joined_at, p.left_at, p.changed_at, p.changed_app
        FROM participants p JOIN users u ON u.id = p.user_id WHERE p.conversation_id = $1";
    let participant = |row: &Row| {
        Ok(ParticipantState {
            user: users::card(row)?,
            role: row.number()?,
            joined_at: row.time()?,
            left_at: row.maybe_time()?,
            change: change(row)?,
        })
    };
    let participants = conn.sql(PARTICIPANTS).bind(id.uuid()).all(participant).await?;
    let head = |row: &Row| {
        Ok(ConversationState {
            id,
            kind: row.number()?,
            title: row.take()?,
            title_change: change(row)?,
            created_by: row.id()?,
            created_at: row.time()?,
            participants: Vec::new(),
        })
    };
    let head = conn.sql(HEAD).bind(id.uuid()).optional(head).await?;
    Ok(head.map(|head| ConversationState { participants, ..head }))
}
