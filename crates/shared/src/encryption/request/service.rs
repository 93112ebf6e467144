use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_core::body::Body;
use axum_core::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, request::Parts};
use subtle::ConstantTimeEq;
use tower_service::Service;

use super::future::EncryptRequestFuture;
use super::search;
use crate::encryption::body::{self, BodyError, Facts};
use crate::encryption::envelope::Binding;
use crate::encryption::{KeyId, Keyring, MAX_REQUEST};
use crate::id::{MessageId, UserId};
use crate::problem::Problem;
use crate::time::Clock;

/// Request extension: who is sealing. Authentication sets it; without it nothing is sealed and nothing passes.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub UserId);

/// Request extension: the body has a sealed `content`, and this is what may be known about it.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    /// The message that the token is bound to: minted here, or the one at the path for an edit.
    pub message: MessageId,
    /// The revision that the token is bound to: 0, or the time of the edit in microseconds.
    pub revision: i64,
    /// What the edge has seen of the text.
    pub facts: Facts,
}

/// Request extension, where the request has an `Idempotency-Key`: what a repeat of it is recognised by, as one hash
/// for each key of the ring. It is a keyed hash of method, path and body, so it tells nothing about the text.
#[derive(Clone, Debug)]
pub struct Fingerprint(Arc<[(KeyId, [u8; 32])]>);

impl Fingerprint {
    /// The hash to keep, and the key that it is made with.
    pub fn newest(&self) -> Option<&(KeyId, [u8; 32])> {
        self.0.first()
    }

    /// Whether a hash that was kept is that of this request; `None` if its key is not in the ring any more.
    pub fn matches(&self, key: i64, kept: &[u8]) -> Option<bool> {
        let (_, print) = self.0.iter().find(|(id, _)| id.number() == key)?;
        Some(print.as_slice().ct_eq(kept).into())
    }
}

/// The request header that makes a request safe to repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The service of [`EncryptRequestLayer`](super::EncryptRequestLayer).
#[derive(Clone, Debug)]
pub struct EncryptRequest<S> {
    inner: S,
    sealer: Sealer,
}

impl<S> EncryptRequest<S> {
    pub(super) fn new(inner: S, keyring: Arc<Keyring>, clock: Clock) -> Self {
        Self { inner, sealer: Sealer { keyring, clock } }
    }
}

impl<S> Service<Request<Body>> for EncryptRequest<S>
where
    S: Service<Request<Body>, Response = Response> + Clone,
{
    type Response = Response;
    type Error = S::Error;
    type Future = EncryptRequestFuture<S>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        if let Err(problem) = search::replace(&self.sealer.keyring, &mut parts) {
            return EncryptRequestFuture::refuse(problem);
        }
        if !is_json(&parts.headers) {
            return EncryptRequestFuture::pass(self.inner.call(Request::from_parts(parts, body)));
        }
        if parts.headers.contains_key(CONTENT_ENCODING) {
            return EncryptRequestFuture::refuse(Problem::unsupported_media_type());
        }
        if announced(&parts.headers).is_some_and(|length| length > MAX_REQUEST) {
            return EncryptRequestFuture::refuse(Problem::too_large(MAX_REQUEST));
        }
        // The service that was made ready must be the one that is called; its clone takes its place.
        let fresh = self.inner.clone();
        let ready = mem::replace(&mut self.inner, fresh);
        EncryptRequestFuture::collect(ready, self.sealer.clone(), parts, body)
    }
}

/// Whether the body is JSON by its media type.
pub(in crate::encryption) fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[derive(Clone, Debug)]
pub(super) struct Sealer {
    keyring: Arc<Keyring>,
    clock: Clock,
}

impl Sealer {
    /// The request as the handler may see it.
    pub(super) fn seal(&self, mut parts: Parts, body: Bytes) -> Result<Request<Body>, Problem> {
        // Many clients name a content type even where they send nothing.
        if body.is_empty() {
            return Ok(Request::from_parts(parts, Body::empty()));
        }
        if parts.headers.contains_key(IDEMPOTENCY_KEY) {
            let path = parts.uri.path().trim_end_matches('/').as_bytes();
            let print = self.keyring.fingerprint(&[parts.method.as_str().as_bytes(), path, &body]);
            parts.extensions.insert(Fingerprint(print.into()));
        }
        let found = body::find_content(&body).map_err(|error| match error {
            BodyError::Json(detail) => Problem::malformed(detail),
            BodyError::NotText => Problem::invalid().field("content", "This must be a string."),
        })?;
        let Some((text, place)) = found else {
            return Ok(Request::from_parts(parts, Body::from(body)));
        };
        let Some(&Caller(caller)) = parts.extensions.get() else {
            return Err(Problem::unauthenticated("not_authenticated", "Log in first."));
        };
        let now = self.clock.now();
        let (message, revision) = match edited(&parts) {
            Some(message) => (message, now.micros()),
            None => (MessageId::mint(now), 0),
        };
        let token = self.keyring.seal(&Binding::message(message, caller, revision), &text);
        let sealed = body::replace(&body, place, &token);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(sealed.len()));
        parts.extensions.insert(self.keyring.terms(&text));
        parts.extensions.insert(Sealed { message, revision, facts: Facts::of(&text) });
        Ok(Request::from_parts(parts, Body::from(sealed)))
    }
}

/// The message that a request edits.
fn edited(parts: &Parts) -> Option<MessageId> {
    if parts.method != Method::PUT && parts.method != Method::PATCH {
        return None;
    }
    parts.uri.path().trim_end_matches('/').rsplit('/').next()?.parse().ok()
}
