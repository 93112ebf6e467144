use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::address::AppName;
use shared::problem::Problem;
use shared::time::Clock;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::config::Peer;

/// Seconds that a service token lives.
const LIFETIME: i64 = 60;
/// Seconds by which the clocks of the two apps may differ.
const LEEWAY: u64 = 60;
/// The explicit type, so that no other token is taken for one (RFC 8725 §3.11).
const TYPE: &str = "relay+jwt";

/// Signs requests to one peer and verifies requests from it: HS256 with the secret of the two.
///
/// A token is bound to method, path with query, and body, so it is good for exactly one request. Replaying that
/// request is harmless, as taking events in is idempotent; so no list of used ids is kept.
pub struct ServiceTokens {
    own: AppName,
    peer: AppName,
    clock: Clock,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: AppName,
    aud: AppName,
    iat: i64,
    exp: i64,
    jti: Uuid,
    /// The HTTP method.
    htm: String,
    /// Path and query.
    htu: String,
    /// The SHA-256 of the body in base64url.
    digest: String,
}

impl ServiceTokens {
    pub fn new(own: &AppName, peer: &Peer, clock: Clock) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[peer.name.as_str()]);
        validation.set_audience(&[own.as_str()]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.leeway = LEEWAY;
        let secret = peer.secret.expose().as_bytes();
        Self {
            own: own.clone(),
            peer: peer.name.clone(),
            clock,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A token for one request to the peer.
    pub fn sign(&self, method: &Method, target: &str, body: &[u8]) -> Result<String, Problem> {
        let now = self.clock.wall().seconds();
        let claims = Claims {
            iss: self.own.clone(),
            aud: self.peer.clone(),
            iat: now,
            exp: now + LIFETIME,
            jti: Uuid::from_u128(rand::random()),
            htm: method.to_string(),
            htu: target.to_owned(),
            digest: digest(body),
        };
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.own.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, &claims, &self.encoding).map_err(|error| {
            tracing::error!(%error, "a service token cannot be signed");
            Problem::internal()
        })
    }

    /// The digest that the body of this request must have, if the peer has signed the request.
    pub fn verify(&self, token: &str, method: &Method, target: &str) -> Option<BodyDigest> {
        let data = decode::<Claims>(token, &self.decoding, &self.validation).ok()?;
        let (header, claims) = (data.header, data.claims);
        let ahead = i64::try_from(LEEWAY).unwrap_or(0);
        let fresh = claims.iat <= self.clock.wall().seconds() + ahead
            && claims.exp - claims.iat <= LIFETIME;
        let bound = claims.htm == method.as_str() && claims.htu == target;
        let typed = header.typ.as_deref() == Some(TYPE);
        (fresh && bound && typed).then_some(BodyDigest(claims.digest))
    }
}

/// The app that a token says it is from; not to be believed before [`ServiceTokens::verify`].
pub fn claimed_sender(token: &str) -> Option<AppName> {
    decode_header(token).ok()?.kid?.parse().ok()
}

/// What a signed body hashes to.
pub struct BodyDigest(String);

impl BodyDigest {
    /// Whether `body` is the body that was signed.
    pub fn matches(&self, body: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(digest(body).as_bytes()).into()
    }
}

fn digest(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::time::Timestamp;

    use super::*;
    use crate::config::Secret;

    fn tokens(own: &str, peer: &str, secret: &str, clock: &Clock) -> ServiceTokens {
        let peer = Peer {
            name: peer.parse().unwrap(),
            url: "http://127.0.0.1:1".parse().unwrap(),
            secret: Secret::new(secret.repeat(32)),
        };
        ServiceTokens::new(&own.parse().unwrap(), &peer, clock.clone())
    }

    #[test]
    fn a_token_is_good_for_one_request_to_one_app() {
        let clock = Clock::system();
        let ours = tokens("app-a", "app-b", "s", &clock);
        let theirs = tokens("app-b", "app-a", "s", &clock);
        let token = ours.sign(&Method::POST, "/x?y=1", b"body").unwrap();
        assert_eq!(claimed_sender(&token).unwrap().as_str(), "app-a");
        let digest = theirs.verify(&token, &Method::POST, "/x?y=1").unwrap();
        assert!(digest.matches(b"body") && !digest.matches(b"other"));
        assert!(theirs.verify(&token, &Method::GET, "/x?y=1").is_none());
        assert!(theirs.verify(&token, &Method::POST, "/x").is_none());
        // Reflected to its sender, sent on to a third app, or signed with another secret.
        assert!(ours.verify(&token, &Method::POST, "/x?y=1").is_none());
        let third = tokens("app-c", "app-a", "s", &clock);
        assert!(third.verify(&token, &Method::POST, "/x?y=1").is_none());
        let stranger = tokens("app-b", "app-a", "t", &clock);
        assert!(stranger.verify(&token, &Method::POST, "/x?y=1").is_none());
    }

    #[test]
    fn a_token_of_another_time_is_refused() {
        let real = Clock::system();
        for minutes in [6u64, 60] {
            let ahead = Clock::manual(real.wall().after(Duration::from_secs(minutes * 60)));
            let behind = Clock::manual(real.wall().before(Duration::from_secs(minutes * 60)));
            for clock in [ahead, behind] {
                let token =
                    tokens("app-a", "app-b", "s", &clock).sign(&Method::GET, "/", b"").unwrap();
                let theirs = tokens("app-b", "app-a", "s", &real);
                assert!(theirs.verify(&token, &Method::GET, "/").is_none(), "{minutes}");
            }
        }
        let _ = Timestamp::from_micros(0);
    }
}
