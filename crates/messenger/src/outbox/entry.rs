use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use shared::address::AppName;
use shared::id::{ConversationId, MessageId, UserId};
use shared::time::Timestamp;
use utoipa::ToSchema;

use crate::relay::EventKind;

/// What an operator calls one thing that waits for a peer or has failed for it: `app-b:1042` is the event with that
/// number, `app-b:` and the id of a message its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryId {
    /// The peer.
    pub peer: AppName,
    /// What it is.
    pub what: Entry,
}

/// What waits or has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The event with this number waits.
    Waiting(i64),
    /// This message has failed.
    Failed(MessageId),
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Entry::Waiting(seq) => write!(f, "{}:{seq}", self.peer),
            Entry::Failed(message) => write!(f, "{}:{message}", self.peer),
        }
    }
}

/// The text is not the id of an entry.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("An entry of the outbox is named as in app-b:1042, or app-b: and the id of a message.")]
pub struct NoEntryId;

impl FromStr for EntryId {
    type Err = NoEntryId;

    fn from_str(text: &str) -> Result<Self, NoEntryId> {
        let (peer, what) = text.split_once(':').ok_or(NoEntryId)?;
        let peer = peer.parse().map_err(|_| NoEntryId)?;
        let is_number = !what.is_empty() && what.bytes().all(|b| b.is_ascii_digit());
        let what = if is_number {
            Entry::Waiting(what.parse().map_err(|_| NoEntryId)?)
        } else {
            Entry::Failed(what.parse().map_err(|_| NoEntryId)?)
        };
        Ok(Self { peer, what })
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether an entry still waits for its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// It will be sent as soon as the peer takes it.
    Waiting,
    /// It will not be sent any more, unless an operator says so.
    Failed,
}

impl FromStr for EntryState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "waiting" => Ok(Self::Waiting),
            "failed" => Ok(Self::Failed),
            _ => Err(()),
        }
    }
}

/// What an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A new message.
    Message,
    /// A message that was edited or deleted.
    MessageChange,
    /// A conversation.
    Conversation,
    /// A user of this app who has changed.
    User,
    /// How far a reader has come.
    Receipt,
    /// The end of what a peer that was restored from a backup is told again.
    Recovered,
}

impl EntryKind {
    /// The kind of an event; `None` for a void one, of which only the number is left.
    pub fn of(kind: EventKind) -> Option<Self> {
        Some(match kind {
            EventKind::Message => Self::Message,
            EventKind::MessageChange => Self::MessageChange,
            EventKind::Conversation => Self::Conversation,
            EventKind::User => Self::User,
            EventKind::Receipt => Self::Receipt,
            EventKind::Recovered => Self::Recovered,
            EventKind::Void => return None,
        })
    }
}

/// An event that waits for a peer, or a message that has failed for it. Nothing of what it says is in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OutboxEntry {
    /// What `retry` takes.
    #[schema(value_type = String, example = "app-b:1042")]
    pub id: EntryId,
    /// For whom it is.
    pub peer: AppName,
    /// What it tells of.
    pub kind: EntryKind,
    /// The message, if it is about one.
    #[schema(required)]
    pub message: Option<MessageId>,
    /// The conversation, if it is about one or happened in one.
    #[schema(required)]
    pub conversation: Option<ConversationId>,
    /// The user, if it is about one.
    #[schema(required)]
    pub user: Option<UserId>,
    /// When the event was written; of what has failed, when the message was.
    pub created_at: Timestamp,
    /// Whether it still waits.
    pub state: EntryState,
    /// When it failed; null if it waits, and for failures of before this was recorded.
    #[schema(required)]
    pub failed_at: Option<Timestamp>,
    /// Why it failed: `expired`, `dropped`, or the code with which the peer has refused it.
    #[schema(required, example = "expired")]
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_named_by_its_peer_and_its_number_or_message() {
        for text in
            ["app-b:1", "app-b:9223372036854775807", "x:0190a5d0-ac96-774b-8cce-b302099a8057"]
        {
            assert_eq!(text.parse::<EntryId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "app-b",
            "app-b:",
            ":1",
            "APP:1",
            "app-b:-1",
            "app-b:99999999999999999999",
            "a:b:1",
        ] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }
}
