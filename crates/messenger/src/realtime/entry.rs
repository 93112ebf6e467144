use shared::id::{ConversationId, MessageId, UserId};
use shared::time::Timestamp;
use uuid::Uuid;

use super::cursor::Cursor;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Nothing; the first row of every log.
    Beginning,
    /// A new message.
    MessageCreated,
    /// A message has a new text.
    MessageUpdated,
    /// A message has lost its text.
    MessageDeleted,
    /// A message has come further on its way.
    MessageStatus,
    /// A new conversation.
    ConversationCreated,
    /// A conversation has another title, other participants or, for one of them, another read position.
    ConversationUpdated,
}

impl EventKind {
    /// The number that the database holds.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// What clients call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beginning => "beginning",
            Self::MessageCreated => "message.created",
            Self::MessageUpdated => "message.updated",
            Self::MessageDeleted => "message.deleted",
            Self::MessageStatus => "message.status",
            Self::ConversationCreated => "conversation.created",
            Self::ConversationUpdated => "conversation.updated",
        }
    }

    /// Whether its subject is a message rather than a conversation.
    pub const fn is_of_message(self) -> bool {
        matches!(
            self,
            Self::MessageCreated
                | Self::MessageUpdated
                | Self::MessageDeleted
                | Self::MessageStatus
        )
    }
}

impl TryFrom<i16> for EventKind {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        [
            Self::Beginning,
            Self::MessageCreated,
            Self::MessageUpdated,
            Self::MessageDeleted,
            Self::MessageStatus,
            Self::ConversationCreated,
            Self::ConversationUpdated,
        ]
        .into_iter()
        .find(|kind| kind.number() == number)
        .ok_or(number)
    }
}

/// A row that is to be written to the log, with [`append`](super::append), in the transaction of what it tells of.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry {
    pub(super) kind: EventKind,
    pub(super) conversation: ConversationId,
    pub(super) subject: Uuid,
    pub(super) only: Option<UserId>,
    pub(super) at: Timestamp,
}

impl NewEntry {
    /// Something has happened to a message.
    pub fn message(
        kind: EventKind,
        conversation: ConversationId,
        message: MessageId,
        at: Timestamp,
    ) -> Self {
        Self { kind, conversation, subject: message.uuid(), only: None, at }
    }

    /// Something has happened to a conversation.
    pub fn conversation(kind: EventKind, conversation: ConversationId, at: Timestamp) -> Self {
        Self { kind, conversation, subject: conversation.uuid(), only: None, at }
    }

    /// The same, but for one person alone.
    #[must_use]
    pub fn only_for(self, user: UserId) -> Self {
        Self { only: Some(user), ..self }
    }
}

/// A row of the log.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where it stands; its moment is when it happened.
    pub place: Cursor,
    /// What has happened.
    pub kind: EventKind,
    /// Where.
    pub conversation: ConversationId,
    /// To which message or conversation.
    pub subject: Uuid,
    /// Whom alone it concerns.
    pub only: Option<UserId>,
}

impl Entry {
    /// The message that it tells of, if it tells of one.
    pub fn message(&self) -> Option<MessageId> {
        self.kind.is_of_message().then(|| MessageId::from(self.subject))
    }
}
