use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::id::ConversationId;
use crate::models::{Message, UserCard};
use crate::time::Timestamp;

/// Two people, or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Exactly two people; there is one such conversation for each pair.
    Direct,
    /// Up to 500 people, with a title.
    Group,
}

impl ConversationKind {
    /// The number that the database holds.
    pub const fn number(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for ConversationKind {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        match number {
            0 => Ok(Self::Direct),
            1 => Ok(Self::Group),
            other => Err(other),
        }
    }
}

/// What a participant may do in a conversation; the highest role first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything; a group has at least one.
    Owner,
    /// Adds, removes and renames.
    Admin,
    /// Reads and writes.
    Member,
}

impl Role {
    /// The number that the database holds.
    pub const fn number(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for Role {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        [Self::Owner, Self::Admin, Self::Member]
            .into_iter()
            .find(|role| role.number() == number)
            .ok_or(number)
    }
}

/// One person in a conversation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Participant {
    /// Who.
    pub user: UserCard,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
    /// Until when, if they have left.
    #[schema(required)]
    pub left_at: Option<Timestamp>,
}

/// A conversation as one of its participants sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Conversation {
    /// The same on every app.
    pub id: ConversationId,
    /// Two people, or a group.
    pub kind: ConversationKind,
    /// A group's name, if it has one.
    #[schema(required, examples("Friday dinner"))]
    pub title: Option<String>,
    /// Who began it.
    pub created_by: UserCard,
    /// Everybody who takes or took part.
    pub participants: Vec<Participant>,
    /// The newest message.
    #[schema(required)]
    pub last_message: Option<Message>,
    /// Messages of others after the caller's read position.
    #[schema(minimum = 0, examples(2))]
    pub unread_count: i64,
    /// When it began.
    pub created_at: Timestamp,
    /// When something last happened in it: a message, or a change of title or membership.
    pub updated_at: Timestamp,
    /// When its owner ended it for everybody; it can still be read.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
}

/// The body that creates a conversation.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewConversation {
    /// Ids, usernames of this app or addresses; the creator is always added.
    #[schema(min_items = 1, max_items = 500, examples(json!(["bob@app-b"])))]
    pub participants: Vec<String>,
    /// 1 to 200 characters, for groups.
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What it is to be; without it, one other participant and no title make it direct.
    pub kind: Option<ConversationKind>,
}

/// The body that renames a group. Nothing else of a conversation is ever set by it.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EditConversation {
    /// 1 to 200 characters, or null for none; absent in a `PATCH` that changes nothing.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, examples("Friday dinner"))]
    pub title: Option<Option<String>>,
}

/// A field that is there, be it null.
#[expect(clippy::option_option, reason = "absent, null and a text are three things")]
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The body that adds people to a group.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewParticipants {
    /// Ids, usernames of this app or addresses.
    #[schema(min_items = 1, max_items = 500, examples(json!(["bob@app-b"])))]
    pub participants: Vec<String>,
    /// What they are to be: without it, members.
    pub role: Option<Role>,
}

/// The body that gives a participant another role.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EditParticipant {
    /// The new role.
    pub role: Role,
}
