use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use shared::problem::Problem;
use zeroize::Zeroizing;

use crate::config::Secret;

/// A refresh token: 256 bits that only its owner knows, as base64url text.
pub struct RefreshToken(Zeroizing<[u8; 32]>);

impl RefreshToken {
    /// A fresh random token.
    pub fn random() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// The token that a text spells, if it can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// The text to give to its owner.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(*self.0)
    }

    /// What the database knows of it.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(*self.0).to_vec()
    }
}

/// Derives the successor of a refresh token.
///
/// The successor is a keyed function of the token and of a random salt in its row, so parallel uses of one token
/// arrive at the same successor, and yet neither the database alone nor the token alone is enough to know it.
pub struct RefreshTokens {
    key: Zeroizing<Vec<u8>>,
}

impl RefreshTokens {
    pub fn new(secret: &Secret) -> Self {
        let key = Sha256::new_with_prefix(b"messaging refresh successor v1\0")
            .chain_update(secret.expose())
            .finalize();
        Self { key: Zeroizing::new(key.to_vec()) }
    }

    /// The one token that follows `token`.
    pub fn successor(
        &self,
        token: &RefreshToken,
        salt: &[u8; 32],
    ) -> Result<RefreshToken, Problem> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(|_| Problem::internal())?;
        mac.update(token.0.as_slice());
        mac.update(salt);
        Ok(RefreshToken(Zeroizing::new(mac.finalize().into_bytes().into())))
    }
}
