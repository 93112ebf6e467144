//! AppA: the messenger with the two halves of the encryption, and an audit between them.

mod audit;
mod stack;

use messenger::config::{Accent, Defaults};

pub use stack::stack;

/// What AppA is unless it is told otherwise.
pub const DEFAULTS: Defaults = Defaults { app: "app-a", port: 8001, accent: Accent::Indigo };
