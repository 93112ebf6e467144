//! Search in texts that nobody in here can read: the edge turns words into terms, and the terms are looked up.
//!
//! | Step | File |
//! |---|---|
//! | the edge makes the terms of a text, and those of a search | `shared::encryption` |
//! | a message is written with its terms, and queued ([`enqueue`]) | `store.rs`, `messages/store.rs` |
//! | what is queued is moved into the index, behind the back of the sends | `index.rs` |
//! | a search waits until the index has caught up, then reads | `terms.rs`, `messages/filter.rs` |
//! | the terms are made anew, for another key or where they are missing | `reindex.rs` |

mod index;
mod reindex;
mod store;
mod terms;

pub use index::Index;
pub use reindex::{Progress, reindex};
pub use store::{enqueue, found, without_terms};
pub use terms::Search;
