use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{Status, UserCard};
use crate::time::Timestamp;

/// How far a message has come with one of its recipients.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// Who.
    pub user: UserCard,
    /// How far.
    pub status: Status,
    /// When it was handed to a client of theirs, where exactly that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When they read it, where exactly that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// Why it failed, where it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
}
