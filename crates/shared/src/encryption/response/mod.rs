//! The opening half.

mod future;
mod layer;
mod service;

pub use future::DecryptResponseFuture;
pub use layer::DecryptResponseLayer;
pub use service::DecryptResponse;
pub(in crate::encryption) use service::open_all;
