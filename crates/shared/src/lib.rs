//! The contract of the two apps: everything that AppA and AppB must agree on.
//!
//! | Module | What it fixes |
//! |---|---|
//! | [`id`], [`time`], [`address`] | how things, moments and people are named |
//! | [`models`] | what the API takes and gives; message content is always a [`encryption::Ciphertext`] |
//! | [`relay`] | the protocol between the apps |
//! | [`problem`] | how every error looks (RFC 9457) |
//! | [`encryption`] | the keyring, the sealed envelope and the tower layers of the edge |
//!
//! There is no server and no database here, and nothing in this crate depends on one.

pub mod address;
pub mod encryption;
pub mod id;
pub mod models;
pub mod problem;
pub mod relay;
mod schema;
pub mod time;
