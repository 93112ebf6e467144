//! The protocol between the apps: what `POST /relay/v1/events/` carries and answers.
//!
//! Each app keeps one numbered stream of events for each peer. An event says that a message or a conversation
//! has changed and carries its *state*, not what is new in it: the receiver merges states, so a repeat, an edit that
//! overtakes its original and a delete that comes first all end in the same place.
//!
//! The receiver applies a stream in order and answers with its [`position`](BatchResult::position), the highest
//! number up to which it has settled everything, as TCP acknowledges bytes. Whatever the network repeats,
//! reorders or loses, the sender goes on from there. An event that the receiver will never take is refused
//! alone, with a reason, and the position moves past it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::address::AppName;
use crate::encryption::{Ciphertext, KeyId, Terms};
use crate::id::{ConversationId, EventId, MessageId, StreamId, UserId};
use crate::models::{ConversationKind, Role, UserCard};
use crate::time::Timestamp;

/// Events in one batch, at most.
pub const MAX_BATCH: usize = 500;

/// Where a peer takes events.
pub const EVENTS_PATH: &str = "/relay/v1/events/";

/// Where a peer answers who its users are.
pub const USERS_PATH: &str = "/relay/v1/users/";

/// Users in the answer to a search, at most: with the longest names they still fit into 1 MiB.
pub const MAX_LIST: usize = 500;

/// The body of `POST /relay/v1/events/`: some consecutive events of one stream. An empty one says "I am here".
///
/// The sender fills in `B` as [`EventBody`]; the receiver first reads it as raw JSON, so that an event which it
/// does not understand is refused alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch<B = EventBody> {
    /// The app that sends it; must be the one that signed the request.
    pub origin: AppName,
    /// Which stream: a new one, with a higher id, begins where the sender says (after a restore, for instance).
    pub stream: StreamId,
    /// Consecutive by `seq`.
    pub events: Vec<Event<B>>,
}

/// One change that a peer must know of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event<B = EventBody> {
    /// Stable over every retry, for whoever follows an event; the receiver goes by `seq`.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<EventId>,
    /// Its number in the stream; no number is left out.
    pub seq: i64,
    /// The trace of the request that caused it (the trace-id of W3C Trace Context), to follow a message through both logs.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub trace: Option<Uuid>,
    /// What has changed.
    pub body: B,
}

/// A value that nothing depends on: one that is malformed must not fail its whole batch.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// What has changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum EventBody {
    /// A conversation is new or has changed.
    Conversation(Box<ConversationState>),
    /// A message is new or has changed.
    Message(Box<MessageState>),
    /// A user of the sending app has changed.
    User(Box<UserState>),
    /// A reader has come further with messages that the receiving app's users have written.
    Receipt(Box<ReceiptState>),
    /// The receiver, which was restored from a backup, has been told again all that it had asked for.
    Recovered {
        /// Which restore.
        id: Uuid,
    },
    /// Nothing any more: the sender gave this event up, and the number is only passed by.
    Void,
}

/// What an app tells others of one of its own users; the one with the later `changed_at` wins.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserState {
    /// The user as everybody may see them.
    #[serde(flatten)]
    pub user: UserCard,
    /// A user who is not active is not found any more; what they have written stays.
    #[serde(default = "active")]
    pub is_active: bool,
    /// When names, picture or activity last changed.
    #[serde(default = "beginning")]
    pub changed_at: Timestamp,
}

const fn active() -> bool {
    true
}

const fn beginning() -> Timestamp {
    Timestamp::from_micros(0)
}

/// The answer to a search among the users of an app: those that come first in the order asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserList {
    /// How many the search finds.
    pub count: i64,
    /// The first of them, at most [`MAX_LIST`].
    pub results: Vec<UserState>,
}

/// All that an app knows of a message; the one with the higher revision wins, and deletion is for ever.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageState {
    /// Which message.
    pub id: MessageId,
    /// Where it was written.
    pub conversation: ConversationId,
    /// Who wrote it; a user of the sending app.
    pub sender: UserId,
    /// The message that it answers.
    pub parent: Option<MessageId>,
    /// The token as the sending app stores it; absent once deleted.
    pub content: Option<Ciphertext>,
    /// What the text is found by, made by the edge that sealed it. A peer may leave them away; then nobody finds the
    /// message until `reindex` has made them here.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// 0 for the original text; later edits have higher numbers. The token is bound to it.
    pub revision: i64,
    /// When the sending app stored it.
    pub created_at: Timestamp,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// All that an app knows of a conversation. What a group is follows from the changes that have been made to it, in
/// their order of time, so two apps that know the same changes see the same group, whatever order they arrived in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConversationState {
    /// Which conversation.
    pub id: ConversationId,
    /// Two people, or a group.
    pub kind: ConversationKind,
    /// Who began it: the first owner of a group.
    pub created_by: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// Everybody whom the rest names; in a direct conversation the two.
    pub users: Vec<UserCard>,
    /// What has been done to a group since it began; nothing is ever done to a direct conversation.
    pub changes: Vec<Change>,
}

/// How far a reader has come with the messages that the receiving app's users have written in a conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceiptState {
    /// Where.
    pub conversation: ConversationId,
    /// Who; a user of the sending app.
    pub reader: UserId,
    /// What has been handed to a client of theirs.
    pub delivered: Progress,
    /// What they have read, if they let others know.
    pub read: Progress,
}

/// A position that only moves forward: messages up to `to` are reached; those after `from` were so at the moment `at`.
///
/// The positions are moments of the app that wrote the messages, `at` is one of the reader's app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stood before it last moved.
    pub from: Timestamp,
    /// Where it stands.
    pub to: Timestamp,
    /// When it last moved.
    pub at: Timestamp,
}

impl Default for Progress {
    /// Nothing has been reached.
    fn default() -> Self {
        let nothing = Timestamp::from_micros(0);
        Self { from: nothing, to: nothing, at: nothing }
    }
}

impl Progress {
    /// Everything up to `to` is reached at the moment `at`.
    pub fn begin(to: Timestamp, at: Timestamp) -> Self {
        Self { to, at, ..Self::default() }
    }

    /// Whether this is where `other` leads, since when it does.
    pub fn is_of(&self, other: &Self) -> bool {
        (self.to, self.at) == (other.to, other.at)
    }
}

/// One change of a group. There is at most one of a kind for a user, a moment and the app of the actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When; later than all that the actor's app knew of then.
    pub at: Timestamp,
    /// Who did it. Whether they might is for each app to judge.
    pub actor: UserId,
    /// What they did.
    #[serde(flatten)]
    pub deed: Deed,
}

/// What can be done to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// It has another title, or none.
    Title {
        /// The new one.
        title: Option<String>,
    },
    /// Somebody takes part from now on.
    Add {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// Somebody takes part no more; they have left, if they are the actor.
    Remove {
        /// Who.
        user: UserId,
    },
    /// Somebody who takes part may do more or less.
    Role {
        /// Who.
        user: UserId,
        /// What they are now.
        role: Role,
    },
    /// It is over for everybody.
    End,
}

/// The answer to a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchResult {
    /// The stream that the position is in.
    pub stream: StreamId,
    /// Everything up to this number is settled for good: stored, or refused.
    pub position: i64,
    /// Where the stream stood before: what is up to there was settled by an earlier delivery, as it was sent then.
    #[serde(default)]
    pub before: Option<i64>,
    /// One for each event of the batch, in its order.
    pub results: Vec<EventResult>,
}

/// What became of one event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventResult {
    /// The event's number.
    pub seq: i64,
    /// Its fate.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The fate of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// On disk, now or from an earlier delivery.
    Stored,
    /// An event before this one is missing; it was not looked at.
    Early,
    /// It will never be taken; `code` is stable, for programs.
    Refused {
        /// Why.
        code: String,
    },
}

/// Where a peer that was restored from a backup asks for what has happened since.
pub const RECOVERY_PATH: &str = "/relay/v1/recovery/";

/// The body of `POST /relay/v1/recovery/`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RecoveryRequest {
    /// Which restore; [`EventBody::Recovered`] names it at the end.
    pub id: Uuid,
    /// The moment of the backup.
    pub since: Timestamp,
}

/// Where a peer answers which keys it holds.
pub const KEYS_PATH: &str = "/relay/v1/keys/";

/// Which keys an app holds, by their names. It is asked for before a key is moved to the front or taken out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Keys {
    /// Its ring, the sealing one first.
    pub ring: Vec<KeyId>,
    /// Those of the ring with which messages are sealed that it holds, and may send.
    pub in_use: Vec<KeyId>,
}

/// Where a peer takes signals.
pub const SIGNALS_PATH: &str = "/relay/v1/signals/";

/// Users and typists together that one request names, at most.
pub const MAX_SIGNALS: usize = 500;

/// The body of `POST /relay/v1/signals/`: what is only worth knowing now. It is not numbered, not stored and not sent
/// again; what is lost is said anew soon, or was not worth it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Signals {
    /// Users of the sending app who are there, said every half minute while they are.
    #[serde(default)]
    pub online: Vec<UserId>,
    /// Users of the sending app who have gone.
    #[serde(default)]
    pub offline: Vec<UserId>,
    /// Users of the sending app who write, or have stopped.
    #[serde(default)]
    pub typing: Vec<Typing>,
}

/// Somebody writes in a conversation, or has stopped.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Typing {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Whether they are writing.
    pub active: bool,
}

/// Where an app says whether it reaches the peer that asks.
pub const REACH_PATH: &str = "/relay/v1/reach/";

/// The answer to `GET /relay/v1/reach/`: what has come of a signed request to the app that asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reach {
    /// Whether it was taken.
    pub reachable: bool,
    /// Why not, for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
