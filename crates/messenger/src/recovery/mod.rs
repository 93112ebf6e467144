//! After a restore: what this app has lost since its backup, its peers give back, as far as they have it.
//!
//! | Step | File |
//! |---|---|
//! | `restore` marks for each peer that there is a time that this database knows nothing of ([`begin`]) | `store.rs` |
//! | the sender asks the peer, when it first reaches it ([`ask`]) | `ask.rs` |
//! | the peer takes the request, and appends to its stream what it has of that time, a piece at a time ([`tell`]) | `tell.rs` |
//! | what comes is merged as always; in the name of this app's own users it is taken until the peer is done | `relay/turn.rs`, `conversations/merge.rs` |
//!
//! A text in the name of this app's users is taken only if it opens where it stands, sealed for that message of that
//! sender, and dates from after the backup.

mod ask;
mod store;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use shared::encryption::{Keyring, SealedContent};
use shared::relay::MessageState;
use shared::time::Timestamp;

pub use ask::ask;
pub use store::{begin, end, since};
pub use tell::{__path_recover, recover, tell};

/// What was under way at the moment of a backup may be missing in it, and clocks differ.
const MARGIN: Duration = Duration::from_hours(1);

/// Whether what a peer gives back is what users of this app have written.
pub struct Recovery {
    keyring: Arc<Keyring>,
}

impl Recovery {
    /// With the keys that open it.
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }

    /// Takes a message of a user of this app back from a peer: `false` if it is of before the backup, or has a text that
    /// does not open where it stands. Its search terms are made here.
    pub fn take_back(&self, state: &mut MessageState, since: Timestamp) -> bool {
        let last = state.created_at.max(state.edited_at.unwrap_or(state.created_at));
        let last = last.max(state.deleted_at.unwrap_or(last));
        if last < since {
            return false;
        }
        let Some(token) = state.content.clone() else { return true };
        let content = SealedContent::new(state.id, state.sender, state.revision, token);
        state.terms = self.keyring.terms_of(&content).ok();
        state.terms.is_some()
    }
}
