//! TLS, on both sides: what the app shows to those who connect, and what it asks of its peers.
//!
//! All of it is made of files (`config::TlsFiles`), and made anew when they change ([`Current`]): connections that are
//! open go on as they began, new ones see what is new. Files that are not sound are logged, and what was stays.
//!
//! There is one library for it, rustls with ring, TLS 1.2 and 1.3, and no way from it to plain HTTP: an app that has a
//! certificate speaks nothing else, and a peer whose URL says `https` is asked in no other way. The libraries that speak to
//! PostgreSQL and Redis begin TLS by themselves ([`authority`], [`choose_ciphers`]).

mod authority;
mod current;
mod expiry;
mod own;
mod peers;
mod pem;
mod server;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use authority::{authority, choose_ciphers};
pub use current::Current;
pub use expiry::{Expiry, Urgency};
pub use own::to_own_app;
pub use peers::{peers, to_others};
pub use server::{ShownCertificate, server, shown};

/// The one protocol above TLS (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// Why a side of TLS cannot be made of its files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {why}", path.display())]
    Unsound {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The files do not fit together, or the system has no authorities.
    #[error("{0}")]
    Refused(String),
}

/// The ciphers of both sides.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
