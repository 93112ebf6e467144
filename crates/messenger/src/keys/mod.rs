//! The life of the keys of the ring: which are in use, sealing anew with another, and whether one is missing.
//!
//! | Step | File |
//! |---|---|
//! | an app does not start without a key that it has held and still needs | `check.rs` |
//! | what is sealed with which key | `usage.rs` |
//! | everything that is stored is sealed anew with the first key | `reseal.rs`; the sealing itself is in `shared::encryption` |
//! | an app tells its peers which keys it holds, and asks them | `relay/keys.rs`, `peers.rs` |
//! | the commands | `cli/keys/` |

mod check;
mod peers;
mod reseal;
mod store;
mod usage;

pub use check::{check, has_held};
pub use peers::{PeerKeys, ask_peers};
pub use reseal::{Progress, reseal};
pub use store::message_exists;
pub use usage::{Usage, still_needs, usage};
