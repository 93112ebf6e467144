//! Sealing at the edge: text becomes a Fernet token before a handler sees it, and a text again after it.
//!
//! [`EncryptRequestLayer`] seals the `content` of request bodies, [`DecryptResponseLayer`] opens the contents of
//! response bodies, and [`EncryptionLayer`] is the two in one, with no logic of its own. They wrap the
//! client-facing routes inside of authentication: the request layer needs the [`Caller`] that it has found.
//!
//! Split, with a layer of one's own between the halves, which therefore only ever sees ciphertext:
//!
//! ```
//! use std::sync::Arc;
//! use axum::{Router, routing::post};
//! use shared::encryption::{DecryptResponseLayer, EncryptRequestLayer, Keyring};
//! use shared::time::Clock;
//! use tower::{ServiceBuilder, layer::util::Identity};
//!
//! # async fn send() {}
//! # let key = Keyring::generate_key();
//! let keyring = Arc::new(Keyring::parse(&key).unwrap());
//! let audit = Identity::new();
//! let routes: Router = Router::new().route("/messages/send", post(send)).layer(
//!     ServiceBuilder::new()
//!         .layer(DecryptResponseLayer::new(keyring.clone()))
//!         .layer(EncryptRequestLayer::new(keyring, Clock::system()))
//!         .layer(audit),
//! );
//! ```
//!
//! A socket's frames are opened by [`FrameOpener`], which [`OpenFramesLayer`] hands to the route of the socket.
//!
//! Combined:
//!
//! ```
//! use std::sync::Arc;
//! use axum::{Router, routing::post};
//! use shared::encryption::{EncryptionLayer, Keyring};
//! use shared::time::Clock;
//!
//! # async fn send() {}
//! # let key = Keyring::generate_key();
//! let keyring = Arc::new(Keyring::parse(&key).unwrap());
//! let routes: Router = Router::new()
//!     .route("/messages/send", post(send))
//!     .layer(EncryptionLayer::new(keyring, Clock::system()));
//! ```
//!
//! # What nothing else can do
//!
//! Sealing and opening are private to this module, so a handler, a store or the relay can hold a [`Ciphertext`]
//! and even the [`Keyring`] and still not read a message:
//!
//! ```compile_fail,E0624
//! fn read(keyring: &shared::encryption::Keyring, token: &shared::encryption::Ciphertext) {
//!     let _ = keyring.open(token);
//! }
//! ```
//!
//! A `Ciphertext` cannot be made from a text either, only parsed from what already has the form of a token:
//!
//! ```
//! assert!("hello".parse::<shared::encryption::Ciphertext>().is_err());
//! ```
//!
//! # What this does not protect
//!
//! It is not end-to-end encryption between people: both services hold the keys. Fernet shows the time of sealing
//! and the length of the text to within 16 bytes, and it does not prevent replay; the [envelope] binds a token to
//! the one place where it may stand, and the rest is said in `docs/SECURITY.md`.

mod body;
mod ciphertext;
mod combined;
pub mod envelope;
mod fields;
mod frames;
mod keyring;
mod request;
mod reseal;
mod response;
mod terms;
mod words;

pub use body::{Facts, SealedContent};
pub use ciphertext::{Ciphertext, KeyId, MalformedKeyId, MalformedToken};
pub use combined::{Encryption, EncryptionLayer};
pub use fields::{Field, FieldCipher};
pub use frames::{FrameOpener, OpenFrame, OpenFrames, OpenFramesLayer};
pub use keyring::{Keyring, KeyringError, Unreadable};
pub use request::{
    Caller, EncryptRequest, EncryptRequestFuture, EncryptRequestLayer, Fingerprint,
    IDEMPOTENCY_KEY, Sealed,
};
pub use response::{DecryptResponse, DecryptResponseFuture, DecryptResponseLayer};
pub use terms::{MalformedTerms, SearchTerms, Terms};

/// Bytes of a request body that the layers buffer at most: 20 000 characters, every one of them escaped as a
/// surrogate pair, and what stands around them.
pub const MAX_REQUEST: usize = 256 * 1024;
