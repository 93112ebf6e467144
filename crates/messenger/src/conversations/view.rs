//! Conversations as a participant sees them, put together from a few statements however many there are.

use std::collections::HashMap;

use shared::id::{ConversationId, UserId};
use shared::models::{Conversation, Participant};
use shared::time::Timestamp;

use super::group::{self, Seat};
use super::store;
use crate::db::{Conn, Result};
use crate::messages;

/// One conversation, if the user takes or took part in it; to who has left, as it was then.
pub async fn one(
    conn: &mut Conn,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Conversation>> {
    let Some(conversation) = many(conn, &[id], user).await?.pop() else { return Ok(None) };
    let me = conversation.participants.iter().find(|participant| participant.user.id == user);
    match me.and_then(|me| me.left_at) {
        Some(left_at) => as_of(conn, conversation, left_at).await.map(Some),
        None => Ok(Some(conversation)),
    }
}

/// A group as it was at a moment; its messages are left as they are.
async fn as_of(
    conn: &mut Conn,
    conversation: Conversation,
    moment: Timestamp,
) -> Result<Conversation> {
    let Some(then) = group::as_of(conn, conversation.id, moment).await? else {
        return Ok(conversation);
    };
    let participants = conversation.participants.into_iter().filter_map(|participant| {
        let seat = then.seats.get(&participant.user.id)?;
        let Seat { role, joined_at, left_at, .. } = *seat;
        Some(Participant { user: participant.user, role, joined_at, left_at })
    });
    let last = conversation.last_message.as_ref().map(|message| message.created_at);
    Ok(Conversation {
        participants: participants.collect(),
        title: then.title,
        updated_at: last.map_or(then.changed_at, |last| last.max(then.changed_at)),
        ended_at: then.ended_at,
        ..conversation
    })
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
            ended_at: head.ended_at,
        })
    };
    Ok(ids.iter().filter_map(assemble).collect())
}
