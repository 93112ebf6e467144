use std::sync::Arc;
use std::task::{Context, Poll};

use axum_core::body::Body;
use axum_core::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG};
use http::{HeaderValue, Request, StatusCode};
use tower_service::Service;

use super::future::DecryptResponseFuture;
use crate::encryption::request::is_json;
use crate::encryption::{Keyring, body};

/// The service of [`DecryptResponseLayer`](super::DecryptResponseLayer).
#[derive(Clone, Debug)]
pub struct DecryptResponse<S> {
    inner: S,
    opener: Opener,
}

impl<S> DecryptResponse<S> {
    pub(super) fn new(inner: S, keyring: Arc<Keyring>) -> Self {
        Self { inner, opener: Opener { keyring } }
    }
}

impl<S> Service<Request<Body>> for DecryptResponse<S>
where
    S: Service<Request<Body>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = DecryptResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        DecryptResponseFuture::new(self.inner.call(request), self.opener.clone())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Opener {
    keyring: Arc<Keyring>,
}

impl Opener {
    /// Whether the response can hold something to open.
    pub(super) fn concerns(response: &Response) -> bool {
        let status = response.status();
        let empty = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        !status.is_informational() && !empty && is_json(response.headers())
    }

    /// The response as the client may see it.
    pub(super) fn open(&self, mut parts: http::response::Parts, bytes: Bytes) -> Response {
        let opened = open_all(&self.keyring, &bytes);
        let Some(opened) = opened else {
            return Response::from_parts(parts, Body::from(bytes));
        };
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(opened.len()));
        parts.headers.remove(ETAG);
        Response::from_parts(parts, Body::from(opened))
    }
}

/// `json` with every sealed content opened, or `None` if there is none; what does not open is counted and logged.
pub(in crate::encryption) fn open_all(keyring: &Keyring, json: &[u8]) -> Option<Vec<u8>> {
    body::open_contents(json, |sealed| {
        let text = keyring.open(&sealed.binding(), sealed.token());
        if let Err(why) = text {
            metrics::counter!("messaging_unreadable_total", "code" => why.code()).increment(1);
            tracing::warn!(code = why.code(), key = %sealed.token().key(), "unreadable message");
        }
        text
    })
}
