use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::address::AppName;
use crate::encryption::{Ciphertext, SealedContent};
use crate::id::{ConversationId, MessageId};
use crate::models::UserCard;
use crate::time::Timestamp;

/// How far a message has come; it only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On disk here, on its way to the recipient's app.
    Queued,
    /// Stored by the recipient's app.
    Relayed,
    /// Handed to a client of the recipient.
    Delivered,
    /// Read by the recipient.
    Read,
    /// Refused by the recipient's app, or given up.
    Failed,
}

impl Status {
    /// The number that the database holds.
    pub const fn number(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for Status {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        [Self::Queued, Self::Relayed, Self::Delivered, Self::Read, Self::Failed]
            .into_iter()
            .find(|status| status.number() == number)
            .ok_or(number)
    }
}

/// A message as the API shows it, its content still sealed until the response layer opens it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Message {
    /// The same on every app.
    pub id: MessageId,
    /// Where it was written.
    pub conversation: ConversationId,
    /// Who wrote it.
    pub sender: UserCard,
    /// `null` once it is deleted.
    #[schema(required)]
    pub content: Option<SealedContent>,
    /// The message that this one answers.
    #[schema(required)]
    pub parent: Option<MessageId>,
    /// How many messages answer it, of those that the caller may see.
    pub reply_count: i64,
    /// How far it has come: to its sender, with the recipient who is the furthest behind; to anybody else, with them.
    pub status: Status,
    /// Why it failed, where it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When its app stored it.
    pub created_at: Timestamp,
    /// When its text was last changed.
    #[schema(required)]
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    #[schema(required)]
    pub deleted_at: Option<Timestamp>,
    /// The app where it was written.
    pub origin: AppName,
}

/// A message in the caller's inbox.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InboxMessage {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// Whether the caller has read it, on any device.
    pub read: bool,
}

/// The body of a send; exactly one of `conversation` and `recipient`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewMessage {
    /// Where to write it.
    pub conversation: Option<ConversationId>,
    /// An id, a username of this app or an address, for the direct conversation with that person.
    #[schema(examples("bob@app-b"))]
    pub recipient: Option<String>,
    /// The text; the request layer has sealed it.
    pub content: Ciphertext,
    /// The message that this one answers, in the same conversation.
    pub parent: Option<MessageId>,
}

/// The body of an edit.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EditMessage {
    /// The new text; the request layer has sealed it.
    pub content: Ciphertext,
}
