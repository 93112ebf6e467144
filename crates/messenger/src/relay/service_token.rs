use std::sync::atomic::{AtomicI64, Ordering};

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
/// Seconds by which the clocks of the two apps may differ without a word.
const LEEWAY: i64 = 60;
/// Seconds by which they may differ at all: so far the sender goes by the clock of the receiver.
const MAX_SKEW: i64 = 600;
/// The explicit type, so that no other token is taken for one (RFC 8725 §3.11).
const TYPE: &str = "relay+jwt";
/// The type of what a receiver says of its own clock.
const TIME_TYPE: &str = "relay-time+jwt";

/// Signs requests to one peer and verifies requests from it: HS256 with the secret of the two.
///
/// A token is bound to method, path with query, and body, so it is good for exactly one request. Replaying that
/// request is harmless, as taking events in is idempotent; so no list of used ids is kept.
pub struct ServiceTokens {
    own: AppName,
    peer: AppName,
    clock: Clock,
    /// Seconds by which the peer's clock is ahead of ours, as it has told; 0 if by few.
    ahead: AtomicI64,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

/// A token for one request, and its id.
pub struct Signature {
    /// The token.
    pub token: String,
    /// What the answer refers to.
    id: Uuid,
    /// How far the peer's clock was believed to be ahead.
    ahead: i64,
}

/// Why a token is not good for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a token of the peer for this request.
    Unsigned,
    /// It would be, but at another time: the clocks of the two apps differ, or it is an old one.
    Skewed(Skew),
}

/// A token of another time.
#[derive(Debug, PartialEq, Eq)]
pub struct Skew {
    /// The app that has signed it.
    pub peer: AppName,
    /// Its id.
    id: Uuid,
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
        // By this app's own clock, below.
        validation.validate_exp = false;
        let secret = peer.secret.expose().as_bytes();
        Self {
            own: own.clone(),
            peer: peer.name.clone(),
            clock,
            ahead: AtomicI64::new(0),
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A token for one request to the peer.
    pub fn sign(&self, method: &Method, target: &str, body: &[u8]) -> Result<Signature, Problem> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let now = self.clock.wall().seconds() + ahead;
        let id = Uuid::from_u128(rand::random());
        let claims = Claims {
            iss: self.own.clone(),
            aud: self.peer.clone(),
            iat: now,
            exp: now + LIFETIME,
            jti: id,
            htm: method.to_string(),
            htu: target.to_owned(),
            digest: digest(body),
        };
        Ok(Signature { token: self.encode(TYPE, &claims)?, id, ahead })
    }

    /// The digest that the body of this request must have, if the peer has signed the request.
    pub fn verify(
        &self,
        token: &str,
        method: &Method,
        target: &str,
    ) -> Result<BodyDigest, Refusal> {
        let claims = self.decode(TYPE, token).ok_or(Refusal::Unsigned)?;
        let bound = claims.htm == method.as_str() && claims.htu == target;
        let short = claims.exp.saturating_sub(claims.iat) <= LIFETIME;
        if !bound || !short {
            return Err(Refusal::Unsigned);
        }
        let now = self.clock.wall().seconds();
        if claims.iat > now + LEEWAY || claims.exp < now - LEEWAY {
            return Err(Refusal::Skewed(Skew { peer: self.peer.clone(), id: claims.jti }));
        }
        Ok(BodyDigest(claims.digest))
    }

    /// What time it is here, signed, for who has signed a request at another time.
    pub fn time(&self, skew: &Skew) -> Result<String, Problem> {
        let now = self.clock.wall().seconds();
        let claims = Claims {
            iss: self.own.clone(),
            aud: self.peer.clone(),
            iat: now,
            exp: now + LIFETIME,
            jti: skew.id,
            htm: String::new(),
            htu: String::new(),
            digest: String::new(),
        };
        self.encode(TIME_TYPE, &claims)
    }

    /// Takes the peer's word for its time, in its answer to the request with a signature, and gives whether the
    /// request is worth another try. Nobody else can say it, and only of this request.
    pub fn set(&self, signature: &Signature, time: &str) -> bool {
        let Some(claims) = self.decode(TIME_TYPE, time).filter(|told| told.jti == signature.id)
        else {
            return false;
        };
        let ahead = claims.iat.saturating_sub(self.clock.wall().seconds());
        if ahead.abs() > MAX_SKEW {
            tracing::error!(
                peer = %self.peer,
                ahead,
                "the peer's clock and this one differ by more than ten minutes, so the peer takes nothing; set the clocks"
            );
            return false;
        }
        let ahead = if ahead.abs() <= LEEWAY { 0 } else { ahead };
        let differ = |one: i64| one.abs_diff(ahead) > LEEWAY.unsigned_abs() / 2;
        if differ(self.ahead.swap(ahead, Ordering::Relaxed)) {
            if ahead == 0 {
                tracing::info!(peer = %self.peer, "the peer's clock and this one agree again");
            } else {
                tracing::warn!(
                    peer = %self.peer,
                    ahead,
                    "the peer's clock is ahead of this one by so many seconds; signing by the peer's, but set the clocks"
                );
            }
        }
        // Others may have heard of it meanwhile.
        differ(signature.ahead)
    }

    fn encode(&self, r#type: &str, claims: &Claims) -> Result<String, Problem> {
        let header = Header {
            typ: Some(r#type.to_owned()),
            kid: Some(self.own.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, claims, &self.encoding).map_err(|error| {
            tracing::error!(%error, "a service token cannot be signed");
            Problem::internal()
        })
    }

    /// The claims of a token of the peer for this app, whatever its time.
    fn decode(&self, r#type: &str, token: &str) -> Option<Claims> {
        let data = decode::<Claims>(token, &self.decoding, &self.validation).ok()?;
        (data.header.typ.as_deref() == Some(r#type)).then_some(data.claims)
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
        let token = ours.sign(&Method::POST, "/x?y=1", b"body").unwrap().token;
        assert_eq!(claimed_sender(&token).unwrap().as_str(), "app-a");
        let digest = theirs.verify(&token, &Method::POST, "/x?y=1").unwrap();
        assert!(digest.matches(b"body") && !digest.matches(b"other"));
        assert!(theirs.verify(&token, &Method::GET, "/x?y=1").is_err());
        assert!(theirs.verify(&token, &Method::POST, "/x").is_err());
        // Reflected to its sender, sent on to a third app, or signed with another secret.
        assert!(ours.verify(&token, &Method::POST, "/x?y=1").is_err());
        let third = tokens("app-c", "app-a", "s", &clock);
        assert!(third.verify(&token, &Method::POST, "/x?y=1").is_err());
        let stranger = tokens("app-b", "app-a", "t", &clock);
        assert!(stranger.verify(&token, &Method::POST, "/x?y=1").is_err());
    }

    fn shifted(clock: &Clock, seconds: i64) -> Clock {
        Clock::manual(Timestamp::from_micros(clock.wall().micros() + seconds * 1_000_000))
    }

    #[test]
    fn a_token_of_another_time_is_refused_and_told_the_time() {
        let real = Clock::manual(Timestamp::from_micros(1_800_000_000_000_000));
        let theirs = tokens("app-b", "app-a", "s", &real);
        for (seconds, adopted) in
            [(-121, true), (61, true), (300, true), (-300, true), (599, true), (601, false)]
        {
            let clock = shifted(&real, seconds);
            let ours = tokens("app-a", "app-b", "s", &clock);
            let first = ours.sign(&Method::GET, "/", b"").unwrap();
            let Err(Refusal::Skewed(skew)) = theirs.verify(&first.token, &Method::GET, "/") else {
                panic!("{seconds}");
            };
            let time = theirs.time(&skew).unwrap();
            assert_eq!(ours.set(&first, &time), adopted, "{seconds}");
            let second = ours.sign(&Method::GET, "/", b"").unwrap();
            assert_eq!(theirs.verify(&second.token, &Method::GET, "/").is_ok(), adopted);
            // An answer to one request says nothing about another, nor is it a signature.
            assert!(!ours.set(&second, &time));
            assert!(matches!(theirs.verify(&time, &Method::GET, "/"), Err(Refusal::Unsigned)));
        }
        for seconds in [-119, 59, 0] {
            let ours = tokens("app-a", "app-b", "s", &shifted(&real, seconds));
            let token = ours.sign(&Method::GET, "/", b"").unwrap().token;
            assert!(theirs.verify(&token, &Method::GET, "/").is_ok(), "{seconds}");
        }
    }

    #[test]
    fn nobody_but_the_peer_says_what_time_it_is() {
        let clock = Clock::system();
        let ours = tokens("app-a", "app-b", "s", &clock);
        let signature = ours.sign(&Method::GET, "/", b"").unwrap();
        let skew = |peer: &str| Skew { peer: peer.parse().unwrap(), id: signature.id };
        let late = shifted(&clock, 300);
        for (own, peer, secret) in
            [("app-b", "app-a", "t"), ("app-c", "app-a", "s"), ("app-b", "app-c", "s")]
        {
            let other = tokens(own, peer, secret, &late);
            assert!(!ours.set(&signature, &other.time(&skew(peer)).unwrap()), "{own} {secret}");
        }
        assert!(!ours.set(&signature, &signature.token), "its own");
        let other = Skew { id: Uuid::nil(), ..skew("app-a") };
        let theirs = tokens("app-b", "app-a", "s", &late);
        assert!(!ours.set(&signature, &theirs.time(&other).unwrap()));
        assert!(ours.set(&signature, &theirs.time(&skew("app-a")).unwrap()));
    }
}
