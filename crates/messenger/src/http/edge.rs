use std::panic::AssertUnwindSafe;

use axum::extract::{OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use shared::problem::{CONTENT_TYPE_PROBLEM, Problem};
use tracing::Instrument;

use super::trace::REQUEST_ID;
use super::{Origins, Trace, cors};
use crate::app::AppState;
use crate::monitoring::RouteSlot;
use crate::spans::{Open, What};

/// What every response says to browsers, unless the handler says otherwise.
pub(super) const HEADERS: [(HeaderName, &str); 7] = [
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];
/// Two years, for which a browser that has come over TLS once comes over TLS alone (RFC 6797).
const HSTS: &str = "max-age=63072000; includeSubDomains";

/// The outermost layer of both apps: names the request, catches panics, and finishes the response.
///
/// Whatever went wrong below, the caller gets a problem (RFC 9457) with the path and the request id, and every
/// response has `X-Request-Id`, the security headers and, for pages of listed origins, those of CORS.
pub async fn edge(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let mut trace = Trace::of(request.headers());
    let told = app.spans.begin(trace.id, trace.caller);
    trace.span = told.as_ref().map(|told| told.at().span);
    request.extensions_mut().insert(trace.clone());
    // As the caller wrote it: peers sign it, and the layers below take the slash at its end away.
    let uri = OriginalUri(request.uri().clone());
    request.extensions_mut().insert(uri);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let origin = request.headers().get(ORIGIN).cloned();
    let span = tracing::info_span!("request", id = %trace.request, trace = %trace.id.simple());
    let wanted = app.requests.is_on() || told.is_some();
    let route = wanted.then(|| RouteSlot::of(&mut request));
    let watched = app.requests.watch(&method, route.as_ref());
    let started = std::time::Instant::now();
    let run = async {
        let answer = async {
            match cors::preflight(&request) {
                Some(response) => response,
                None => next.run(request).await,
            }
        };
        let response = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(%method, path, "a handler panicked");
            Problem::internal().into_response()
        });
        let mut response = finish(response, &path, &trace);
        cors::share(&app.origins, origin.as_ref(), response.headers_mut());
        secure(&app.origins, response.headers_mut());
        if let Some(watched) = watched {
            watched.answered(response.status());
        }
        if let Some(told) = told {
            end(told, &method, route.as_ref(), response.status());
        }
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

fn end(told: Open, method: &Method, route: Option<&RouteSlot>, status: StatusCode) {
    let route = route.and_then(RouteSlot::path).cloned();
    told.end(What::Answered { method: method.clone(), route, status });
}

fn finish(response: Response, path: &str, trace: &Trace) -> Response {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    let mut response = if failed { explain(response, path, trace) } else { response };
    if let Ok(id) = HeaderValue::from_str(&trace.request) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
    }
    response
}

fn secure(origins: &Origins, headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if origins.is_over_tls() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
}

/// The response with its problem written out in full; a bare status gets the problem that fits it.
///
/// Headers that were set on the way stay, `Allow`, `Set-Cookie` and `RateLimit` among them.
fn explain(mut response: Response, path: &str, trace: &Trace) -> Response {
    let problem = response.extensions().get::<Problem>().cloned();
    let problem = problem.unwrap_or_else(|| Problem::of_status(response.status()));
    *response.body_mut() = problem.document(Some(path), Some(&trace.request)).into();
    *response.status_mut() = problem.status();
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, CONTENT_TYPE_PROBLEM);
    for (name, value) in problem.into_response().headers() {
        headers.entry(name).or_insert(value.clone());
    }
    response
}
