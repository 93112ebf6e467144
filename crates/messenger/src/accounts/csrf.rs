use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;
use shared::id::SessionId;
use shared::problem::Problem;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::app::App;
use crate::config::Secret;

/// The header in which a page sends the token of its cookie again.
pub const CSRF_HEADER: &str = "x-csrftoken";
/// Random bytes of a token, so that each is another one.
const NONCE: usize = 16;

/// Makes and checks CSRF tokens, each bound to one session (OWASP: signed double-submit cookie).
///
/// A token is a nonce, and an HMAC of session and nonce under a key of its own. It is good for as long as its session.
pub struct CsrfTokens {
    key: Zeroizing<[u8; 32]>,
}

impl CsrfTokens {
    pub fn new(secret: &Secret) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // HKDF (RFC 5869) fails only for keys that are longer than 255 hashes.
        let expanded = Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
            .expand(b"messaging csrf v1", key.as_mut());
        debug_assert!(expanded.is_ok());
        Self { key }
    }

    /// A fresh token for a session; one for nobody's is good for nothing.
    pub fn issue(&self, session: Option<SessionId>) -> Result<String, Problem> {
        let nonce: [u8; NONCE] = rand::random();
        let mut token = nonce.to_vec();
        token.extend_from_slice(&self.mac(session, &nonce)?.finalize().into_bytes());
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether a token is one of a session.
    fn is_of(&self, token: &str, session: SessionId) -> Result<bool, Problem> {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else { return Ok(false) };
        let Some((nonce, tag)) = token.split_at_checked(NONCE) else { return Ok(false) };
        Ok(self.mac(Some(session), nonce)?.verify_slice(tag).is_ok())
    }

    fn mac(&self, session: Option<SessionId>, nonce: &[u8]) -> Result<Hmac<Sha256>, Problem> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.as_slice()).map_err(|_| Problem::internal())?;
        mac.update(session.map_or(Uuid::nil(), SessionId::uuid).as_bytes());
        mac.update(nonce);
        Ok(mac)
    }
}

/// Lets an unsafe request pass that a session's cookies authenticate, if a page of this app or of an allowed origin
/// has sent it; 403 `csrf_failed` otherwise.
///
/// It must have `X-CSRFToken`, equal to its cookie and of this very session; and [`crate::http::Origins::vouch`] must
/// let it pass.
pub fn guard(app: &App, headers: &HeaderMap, session: SessionId) -> Result<(), Problem> {
    app.origins.vouch(headers)?;
    let failed = |detail: &'static str| Problem::forbidden("csrf_failed", detail);
    let mut sent = headers.get_all(CSRF_HEADER).iter();
    let (Some(sent), None) = (sent.next(), sent.next()) else {
        return Err(failed("Send the CSRF cookie's value in the header X-CSRFToken too."));
    };
    let Some(cookie) = app.accounts.cookies.csrf(headers) else {
        return Err(failed("There is no CSRF cookie; GET /api/auth/csrf/ sets one."));
    };
    let equal = bool::from(sent.as_bytes().ct_eq(cookie.as_bytes()));
    if !equal || !app.accounts.csrf.is_of(cookie, session)? {
        return Err(failed(
            "X-CSRFToken is not the CSRF token of this session; GET /api/auth/csrf/ gives a fresh one.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_session_under_its_own_key_alone() {
        let tokens = CsrfTokens::new(&Secret::new("s".repeat(32)));
        let other = CsrfTokens::new(&Secret::new("t".repeat(32)));
        let id = |n: u128| SessionId::from(Uuid::from_u128(n));
        let token = tokens.issue(Some(id(1))).unwrap();
        assert!(tokens.is_of(&token, id(1)).unwrap());
        assert!(!tokens.is_of(&token, id(2)).unwrap());
        assert!(!other.is_of(&token, id(1)).unwrap());
        assert_ne!(tokens.issue(Some(id(1))).unwrap(), token);
        assert!(!tokens.is_of(&tokens.issue(None).unwrap(), id(1)).unwrap());
        for bad in ["", "x", "AAAA", &token[1..], &token[..token.len() - 1], &format!("{token}A")] {
            assert!(!tokens.is_of(bad, id(1)).unwrap(), "{bad}");
        }
    }
}
