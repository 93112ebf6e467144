use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::bucket::{Bucket, Whose};
use super::rate::Taken;
use super::refusal;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::ClientAddress;
use crate::relay;

/// Takes from the bucket of the route, if it has one, and says in the answer what is left: `RateLimit` and
/// `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), and `Retry-After` with a refusal.
///
/// It goes around the encryption layers and inside of authentication, so that a refused request costs next to nothing.
pub async fn limit(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let bucket = path.and_then(|path| Bucket::of(request.method(), path.as_str()));
    let Some(bucket) = bucket else { return next.run(request).await };
    let (mut parts, body) = request.into_parts();
    let key = key(&app, bucket, &mut parts).await;
    let request = Request::from_parts(parts, body);
    // Who is not known is refused by the handler, whatever they have left.
    let Some(key) = key else { return next.run(request).await };
    let Some(mut taken) = app.limits.take(bucket, key).await else {
        return next.run(request).await;
    };
    let mut response =
        if taken.allowed { next.run(request).await } else { refusal(taken).into_response() };
    // Only log-ins that fail count.
    if bucket == Bucket::Login && response.status().is_success() {
        app.limits.give_back(bucket, key).await;
        taken.until_full = (taken.until_full - taken.rate.interval()).max(0);
    }
    describe(bucket, taken, response.headers_mut());
    response
}

/// Whom a request is counted for.
async fn key(app: &AppState, bucket: Bucket, parts: &mut Parts) -> Option<u128> {
    match bucket.whose() {
        Whose::Address => {
            let address: ClientAddress = parts.extract_with_state(app).await.ok()?;
            Some(address.number())
        }
        Whose::User => {
            let user = CurrentUser::from_request_parts(parts, app).await.ok()?;
            let id = user.id().uuid().as_u128();
            parts.extensions.insert(user);
            Some(id)
        }
        Whose::Peer => {
            let peer = relay::signer(app, parts)?;
            let hash: [u8; 32] = Sha256::digest(peer.as_str()).into();
            hash.first_chunk().map(|bytes| u128::from_be_bytes(*bytes))
        }
    }
}

fn describe(bucket: Bucket, taken: Taken, headers: &mut HeaderMap) {
    let name = bucket.name();
    let policy = format!("\"{name}\";q={};w={}", taken.rate.quota(), taken.rate.window());
    let state = format!("\"{name}\";r={};t={}", taken.remaining(), taken.reset());
    for (header, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(header), value);
        }
    }
}
