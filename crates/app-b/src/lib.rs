//! AppB: the messenger with the combined encryption layer.

mod stack;

use messenger::config::{Accent, Defaults};

pub use stack::stack;

/// What AppB is unless it is told otherwise.
pub const DEFAULTS: Defaults = Defaults { app: "app-b", port: 8002, accent: Accent::Teal };
