//! Conversations as a participant sees them, put together from a few statements however many there are.

use std::collections::HashMap;

use shared::id::{ConversationId, UserId};
use shared::models::Conversation;

use super::store;
use crate::db::{Conn, Result};
use crate::messages;

/// One conversation, if the user takes or took part in it.
pub async fn one(
    conn: &mut Conn,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Conversation>> {
    Ok(many(conn, &[id], user).await?.pop())
}

/// Those of the conversations that the user takes or took part in, in the order of `ids`.
pub async fn many(
    conn: &mut Conn,
    ids: &[ConversationId],
    user: UserId,
) -> Result<Vec<Conversation>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut heads: HashMap<_, _> =
        store::heads(conn, ids, user).await?.into_iter().map(|head| (head.id, head)).collect();
    let mut participants: HashMap<_, Vec<_>> = HashMap::new();
    for (id, participant) in store::participants(conn, ids).await? {
        participants.entry(id).or_default().push(participant);
    }
    let last: Vec<_> = heads.values().filter_map(|head| head.last_message).collect();
    let mut last: HashMap<_, _> = messages::by_ids(conn, &last, user)
        .await?
        .into_iter()
        .map(|message| (message.conversation, message))
        .collect();
    let assemble = |id: &ConversationId| {
        let head = heads.remove(id)?;
        let last_message = last.remove(id);
        let activity = last_message.as_ref().map_or(head.changed_at, |m| m.created_at);
        Some(Conversation {
            id: head.id,
            kind: head.kind,
            title: head.title,
            created_by: head.created_by,
            participants: participants.remove(id).unwrap_or_default(),
            last_message,
            unread_count: head.unread_count,
            created_at: head.created_at,
            updated_at: head.changed_at.max(activity),
        })
    };
    Ok(ids.iter().filter_map(assemble).collect())
}
