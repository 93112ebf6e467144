use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, get_current_timestamp,
};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::address::{AppName, Username};
use shared::id::{SessionId, UserId};
use shared::models::AccountRole;
use shared::problem::Problem;
use shared::time::Clock;
use uuid::Uuid;

use crate::config::Secret;
use crate::settings::{LONGEST_ACCESS, Setting, Settings};

/// By how much the clocks of two replicas may differ, in seconds.
const LEEWAY: u32 = 5;
/// How long a token that has been verified is recognised by its hash.
const RECOGNISED: Duration = Duration::from_mins(1);
/// Tokens that are recognised, at most.
const REMEMBERED: u64 = 10_000;
/// The explicit type (RFC 9068 §2.1), so that no other token is taken for one.
const TYPE: &str = "at+jwt";

/// Signs and verifies access tokens: HS256 alone, every claim required (RFC 8725).
pub struct AccessTokens {
    app: AppName,
    clock: Clock,
    settings: Arc<Settings>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    verified: Cache<[u8; 32], Arc<Claims>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    pub sub: UserId,
    user_id: UserId,
    username: Username,
    role: AccountRole,
    pub sid: SessionId,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

impl AccessTokens {
    pub fn new(app: &AppName, secret: &Secret, clock: Clock, settings: Arc<Settings>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[app.as_str()]);
        validation.set_audience(&[app.as_str()]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY.into();
        Self {
            app: app.clone(),
            clock,
            settings,
            encoding: EncodingKey::from_secret(secret.expose().as_bytes()),
            decoding: DecodingKey::from_secret(secret.expose().as_bytes()),
            validation,
            verified: Cache::builder().max_capacity(REMEMBERED).time_to_live(RECOGNISED).build(),
        }
    }

    /// Seconds that a token lives which is issued now.
    pub fn lifetime(&self) -> i64 {
        self.settings.get(Setting::AccessTokenLifetime)
    }

    /// A token for one session of a user.
    pub fn issue(
        &self,
        user: UserId,
        username: &Username,
        role: AccountRole,
        session: SessionId,
    ) -> Result<String, Problem> {
        let now = self.clock.wall().seconds();
        let claims = Claims {
            iss: self.app.to_string(),
            aud: self.app.to_string(),
            sub: user,
            user_id: user,
            username: username.clone(),
            role,
            sid: session,
            iat: now,
            nbf: now,
            exp: now.saturating_add(self.lifetime()),
            jti: Uuid::from_u128(rand::random()),
        };
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &self.encoding).map_err(|error| {
            tracing::error!(%error, "an access token cannot be signed");
            Problem::internal()
        })
    }

    /// The claims of a token that this app has signed and that has not expired.
    pub fn verify(&self, token: &str) -> Option<Arc<Claims>> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.verified.get(&hash) {
            // By the clock that `decode` goes by.
            let now = i64::try_from(get_current_timestamp()).unwrap_or(i64::MAX);
            let lives = claims.exp.saturating_add(LEEWAY.into()) > now;
            return lives.then_some(claims);
        }
        let claims = Arc::new(self.read(token)?);
        self.verified.insert(hash, claims.clone());
        Some(claims)
    }

    fn read(&self, token: &str) -> Option<Claims> {
        let data = decode::<Claims>(token, &self.decoding, &self.validation).ok()?;
        let claims = data.claims;
        let whole = data.header.typ.as_deref() == Some(TYPE) && claims.sub == claims.user_id;
        // No token is issued for longer, whatever it says; for how long, the setting of another moment has said.
        let brief = claims.exp.saturating_sub(claims.iat) <= LONGEST_ACCESS;
        (whole && brief).then_some(claims)
    }
}
