use std::panic::AssertUnwindSafe;

use axum::extract::{OriginalUri, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use shared::problem::{CONTENT_TYPE_PROBLEM, Problem};
use tracing::Instrument;

use super::Trace;
use super::trace::REQUEST_ID;

/// The outermost layer of both apps: names the request, catches panics, and finishes the response.
///
/// Whatever went wrong below, the caller gets a problem (RFC 9457) with the path and the request id, and every
/// response has `X-Request-Id` and the security headers.
pub async fn edge(mut request: Request, next: Next) -> Response {
    let trace = Trace::of(request.headers());
    request.extensions_mut().insert(trace.clone());
    // As the caller wrote it: peers sign it, and the layers below take the slash at its end away.
    let uri = OriginalUri(request.uri().clone());
    request.extensions_mut().insert(uri);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id = %trace.request, trace = %trace.id.simple());
    let started = std::time::Instant::now();
    let run = async {
        let response =
            AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(%method, path, "a handler panicked");
                Problem::internal().into_response()
            });
        let response = finish(response, &path, &trace);
        let (status, micros) = (response.status().as_u16(), started.elapsed().as_micros());
        if response.status().is_server_error() {
            tracing::warn!(%method, path, status, micros, "answered");
        } else {
            tracing::debug!(%method, path, status, micros, "answered");
        }
        response
    };
    run.instrument(span).await
}

fn finish(response: Response, path: &str, trace: &Trace) -> Response {
    let mut response = if response.status().is_client_error() || response.status().is_server_error()
    {
        explain(&response, path, trace)
    } else {
        response
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&trace.request) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
    let fixed = [
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The response with its problem written out in full; a bare status gets the problem that fits it.
fn explain(response: &Response, path: &str, trace: &Trace) -> Response {
    let problem = response.extensions().get::<Problem>().cloned();
    let problem = problem.unwrap_or_else(|| Problem::of_status(response.status()));
    let allow = response.headers().get(ALLOW).cloned();
    let document = problem.document(Some(path), Some(&trace.request));
    let mut full = problem.into_response();
    *full.body_mut() = document.into();
    full.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_PROBLEM);
    if let Some(allow) = allow {
        full.headers_mut().insert(ALLOW, allow);
    }
    full
}
