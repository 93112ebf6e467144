//! How far people have come with the messages of others: what has been handed to a client of theirs, and what they
//! have read.
//!
//! There is no row for each message and recipient, but a *register* for each conversation, reader and app whose users'
//! messages are read: a moment that only moves forward. Messages of one app arrive in the order of their writing, so a
//! moment of that app's says exactly which of them have been seen, however late those of another app come in. The
//! register has one writer, the reader's app, which tells the app whose messages they are.
//!
//! | Step | File |
//! |---|---|
//! | messages are handed to a client; noted in memory, written by one task | `delivered.rs` |
//! | a reader says how far they have read | `read.rs` |
//! | a peer tells how far its reader has come | `merge.rs` |
//! | the sender looks | `list.rs`, `messages/view.rs` |

mod delivered;
pub(crate) mod list;
mod merge;
mod read;
mod store;

use std::collections::BTreeMap;

use shared::address::AppName;
use shared::id::{ConversationId, MessageId, UserId};
use shared::models::Status;
use shared::relay::Progress;
use shared::time::Timestamp;
use uuid::Uuid;

use crate::app::App;
use crate::db::{Conn, Result};
use crate::realtime::{self, Way};
use crate::relay::{self, EventKind, NewEvent};

pub use delivered::{Receipts, delivered, flush, flush_regularly};
pub use merge::{check, merge, take_back};
pub use read::read;
pub use store::{Recipient, forget_untold, recipients, settle, states};

/// Which register: one reader's, for the messages of one app in one conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register {
    /// Where the messages are.
    pub conversation: ConversationId,
    /// The app whose users have written them.
    pub origin: AppName,
    /// Who reads them.
    pub reader: UserId,
}

/// How far a register is to move; what is behind where it is already stays.
#[derive(Clone, Debug)]
pub struct Move {
    /// Which one.
    pub register: Register,
    /// Handed to a client.
    pub delivered: Progress,
    /// Read, as far as others are told.
    pub seen: Progress,
    /// Read, as far as the reader knows.
    pub read_to: Timestamp,
    /// Whether the app of the messages is to be told.
    pub tell: bool,
}

/// A register that has moved, and how.
#[derive(Clone, Debug)]
pub struct Moved {
    register: Register,
    /// What the event of the outbox names.
    id: Uuid,
    delivered: Option<Progress>,
    seen: Option<Progress>,
    /// How often it has moved since the app of the messages was last told.
    untold: i64,
}

/// Messages that have come further.
#[derive(Clone, Debug)]
pub enum StatusChange {
    /// These messages of this app's users have become relayed, or have failed.
    Messages(Vec<MessageId>),
    /// The messages of one app in a conversation after `progress.from`, up to and including `progress.to`, have been
    /// delivered to a reader or read by them.
    Progress {
        /// Whose, where, and by whom.
        register: Register,
        /// Delivered or read.
        status: Status,
        /// Which.
        progress: Progress,
    },
}

/// Moves registers of this app's readers, and writes an event for each app that is to be told, unless one is waiting.
/// Must be the last thing that a transaction does. Gives what has moved, for [`announce`].
async fn advance(
    conn: &mut Conn,
    own: &AppName,
    mut moves: Vec<Move>,
    trace: Uuid,
    now: Timestamp,
) -> Result<Vec<Moved>> {
    // In one order, so that two transactions cannot wait for each other.
    moves.sort_unstable_by(|a, b| a.register.cmp(&b.register));
    let changed = store::advance(conn, &moves, now).await?;
    push(conn, own, &changed, now).await?;
    let mut events: BTreeMap<&AppName, Vec<NewEvent>> = BTreeMap::new();
    let news = |row: &&Moved| row.delivered.is_some() || row.seen.is_some();
    for row in changed.iter().filter(|row| row.untold == 1).filter(news) {
        let event = NewEvent { kind: EventKind::Receipt, subject: row.id, trace, at: now };
        events.entry(&row.register.origin).or_default().push(event);
    }
    for (peer, events) in events {
        relay::append(conn, peer, &events).await?;
    }
    Ok(changed)
}

/// Writes to the event log how far the messages of this app's users have come.
async fn push(conn: &mut Conn, own: &AppName, changed: &[Moved], now: Timestamp) -> Result<()> {
    for Moved { register, delivered, seen, .. } in
        changed.iter().filter(|m| m.register.origin == *own)
    {
        let way = delivered.iter().chain(seen);
        let (from, to) = (way.clone().map(|way| way.from).min(), way.map(|way| way.to).max());
        if let Some((from, to)) = from.zip(to) {
            let (conversation, origin) = (register.conversation, &register.origin);
            realtime::append_way(conn, &Way { conversation, origin, from, to }, now).await?;
        }
    }
    Ok(())
}

/// Says what has moved, after the commit.
pub fn announce_moved(app: &App, moved: Vec<Moved>) {
    for Moved { register, delivered, seen, .. } in moved {
        for (status, progress) in [(Status::Delivered, delivered), (Status::Read, seen)] {
            if let Some(progress) = progress {
                let register = register.clone();
                announce(app, StatusChange::Progress { register, status, progress });
            }
        }
    }
}

/// The one place where this process learns, after the commit, that messages have come further.
pub fn announce(app: &App, change: StatusChange) {
    tracing::trace!(?change, "status");
    app.receipts.publish(change);
}
