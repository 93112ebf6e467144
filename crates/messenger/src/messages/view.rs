//! Messages as one person sees them: with how far each has come, to its sender with all recipients, to others with
//! themselves.

use std::collections::BTreeMap;

use shared::id::{MessageId, UserId};
use shared::models::{Message, Status};
use uuid::Uuid;

use super::store::{self, Listed};
use crate::db::{Conn, Result};
use crate::receipts::{self, Recipient};

/// A message, if the user may see it.
pub async fn visible(conn: &mut Conn, id: MessageId, user: UserId) -> Result<Option<Message>> {
    Ok(find(conn, id, user).await?.map(|found| found.message))
}

/// A message and what the user has done with it, if they may see it.
pub async fn find(conn: &mut Conn, id: MessageId, user: UserId) -> Result<Option<Listed>> {
    let mut found = store::find(conn, id, user).await?;
    show(conn, user, found.as_mut_slice()).await?;
    Ok(found)
}

/// Messages by id, in no order, of conversations in which the user takes or took part.
pub async fn by_ids(conn: &mut Conn, ids: &[MessageId], user: UserId) -> Result<Vec<Message>> {
    let mut found = store::by_ids(conn, ids, user).await?;
    show(conn, user, &mut found).await?;
    Ok(found.into_iter().map(|found| found.message).collect())
}

/// Completes the status of messages that `user` is shown, with one query however many they are.
pub async fn show(conn: &mut Conn, user: UserId, listed: &mut [Listed]) -> Result<()> {
    let mut of_own: Vec<Uuid> = Vec::new();
    for Listed { message, read, .. } in &mut *listed {
        if message.sender.id == user {
            if message.status != Status::Failed {
                of_own.push(message.conversation.uuid());
            }
        } else {
            // It is being handed over right now.
            message.status = if *read { Status::Read } else { Status::Delivered };
            message.status_reason = None;
        }
    }
    of_own.sort_unstable();
    of_own.dedup();
    let mut recipients: BTreeMap<_, Vec<Recipient>> = BTreeMap::new();
    for recipient in receipts::recipients(conn, user, &of_own).await? {
        recipients.entry(recipient.conversation).or_default().push(recipient);
    }
    for Listed { message, .. } in listed {
        if message.sender.id == user && message.status != Status::Failed {
            let recipients = recipients.get(&message.conversation).map_or(&[][..], Vec::as_slice);
            message.status = least_advanced(message, recipients);
        }
    }
    Ok(())
}

/// How far a message has come with the recipient who is the furthest behind.
fn least_advanced(message: &Message, recipients: &[Recipient]) -> Status {
    let at = message.created_at;
    let meant = |r: &&Recipient| r.joined_at <= at && r.left_at.is_none_or(|left_at| at <= left_at);
    let status = |recipient: &Recipient| {
        if at <= recipient.seen_to {
            Status::Read
        } else if at <= recipient.delivered_to {
            Status::Delivered
        } else {
            message.status
        }
    };
    recipients.iter().filter(meant).map(status).min().unwrap_or(message.status)
}
