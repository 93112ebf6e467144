//! The sealing half.

mod future;
mod layer;
mod search;
mod service;

pub use future::EncryptRequestFuture;
pub use layer::EncryptRequestLayer;
pub(in crate::encryption) use service::is_json;
pub use service::{Caller, EncryptRequest, Fingerprint, IDEMPOTENCY_KEY, Sealed};
