//! Groups: what has been done to one, and what it has become by that.
//!
//! Every app keeps the changes of a group that it knows of, and plays them in their order of time (`replay.rs`). A
//! change by somebody who might not make it at its moment comes to nothing. So all apps that know the same changes
//! see the same group, whatever order they heard of them in, and nobody has to take another's word for a permission.

mod change;
mod replay;
mod store;

pub use change::{TakenIn, as_of, change, direct, take_in};
pub use replay::{Entry, Group, Seat, Verdict};
pub use store::{beginning, entries};

/// Changes that are kept of one group, at most: its state has to fit into a batch.
pub const MAX_CHANGES: usize = 5_000;
