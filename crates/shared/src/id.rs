//! Identifiers: one newtype per kind of thing, so that a user's id is never taken for a message's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::address::Address;
use crate::time::Timestamp;

/// A 128-bit identifier (RFC 9562) of one kind of thing.
pub trait Id: Copy + From<Uuid> + Into<Uuid> {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh UUIDv7 that carries `now` to the millisecond, so that ids sort by age.
            pub fn mint(now: Timestamp) -> Self {
                Self(v7(now))
            }

            /// The identifier as a plain UUID, for storage.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Id for $name {}

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

ids! {
    /// A person with an account on one of the apps.
    UserId;
    /// A conversation, the same on every app that takes part in it.
    ConversationId;
    /// A message, the same on every app that stores it.
    MessageId;
    /// One log-in of a user: the family of its refresh tokens.
    SessionId;
    /// One run of the numbered events from one app to one peer; see [`crate::relay`].
    StreamId;
    /// One event of a stream, stable over every retry.
    EventId;
    /// One entry of the audit log.
    AuditId;
}

/// The namespace of direct conversations (RFC 9562 §5.5); fixed for ever, both apps derive ids from it.
const DIRECT: Uuid = Uuid::from_u128(0x0190_3f6c_8d4e_7c52_b1a0_5e1f_0c2d_94a7);

impl ConversationId {
    /// The id of the direct conversation of two people: the UUIDv5 of their sorted addresses.
    ///
    /// Both apps arrive at it without asking each other, and it does not depend on who starts.
    pub fn direct(one: &Address, other: &Address) -> Self {
        let (mut first, mut second) = (one.key(), other.key());
        if second < first {
            std::mem::swap(&mut first, &mut second);
        }
        Self(Uuid::new_v5(&DIRECT, format!("{first}\n{second}").as_bytes()))
    }
}

impl EventId {
    /// The id of event number `seq` of a stream: a UUIDv5, so that it needs no column.
    pub fn of(stream: StreamId, seq: i64) -> Self {
        Self(Uuid::new_v5(&stream.uuid(), &seq.to_be_bytes()))
    }
}

fn v7(now: Timestamp) -> Uuid {
    let micros = u64::try_from(now.micros()).unwrap_or(0);
    let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_conversation_has_the_same_id_from_both_sides_and_in_any_case() {
        let alice: Address = "Alice@app-a".parse().unwrap();
        let bob: Address = "bob@app-b".parse().unwrap();
        let id = ConversationId::direct(&alice, &bob);
        assert_eq!(id, ConversationId::direct(&bob, &alice));
        assert_eq!(id, ConversationId::direct(&"alice@app-a".parse().unwrap(), &bob));
        // Pinned: both apps, in whatever version, must derive the same id for ever.
        assert_eq!(id.to_string(), "42cd0928-b9c7-59b6-8046-07bdb2d19316");
    }

    #[test]
    fn ids_sort_by_the_time_they_carry() {
        let early = MessageId::mint(Timestamp::from_micros(1_700_000_000_000_000));
        let late = MessageId::mint(Timestamp::from_micros(1_700_000_000_001_000));
        assert!(early < late);
        assert_eq!(early.uuid().get_version_num(), 7);
    }
}
