//! Problem details (RFC 9457): the one shape of every error that either service answers with.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// The media type of a problem (RFC 9457 §3).
pub const CONTENT_TYPE_PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error as the caller sees it: a status, a stable machine-readable code and a sentence that helps.
///
/// It holds no internals: what is only for the operator goes to the log where the problem arises.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} {}: {}", .0.status, .0.code, .0.detail)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: BTreeMap<Cow<'static, str>, Vec<Cow<'static, str>>>,
    retry_after: Option<u32>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: &'a BTreeMap<Cow<'static, str>, Vec<Cow<'static, str>>>,
}

impl Problem {
    /// A problem with a code that no constructor below covers.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let detail = detail.into();
        Self(Box::new(Inner { status, code, detail, errors: BTreeMap::new(), retry_after: None }))
    }

    /// 400: a field has a value that it may not have; name the fields with [`Problem::field`].
    pub fn invalid() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", "Some fields are not valid; see errors.")
    }

    /// 400: the body is not the JSON that is expected here.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 401: no credentials, or none that count.
    pub fn unauthenticated(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: a known caller who may not do this.
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing, or the caller may not know about it; the two look the same.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here for you.")
    }

    /// 409: the state of things does not allow it.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than the {limit} bytes that are accepted here.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// 415: the body is not `application/json`.
    pub fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send the body as application/json in UTF-8, without a content encoding.",
        )
    }

    /// 500: our fault; the log has the reason under the same request id.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on our side; the request id finds it in the log.",
        )
    }

    /// 503: not now; the same request may succeed after `seconds`.
    pub fn unavailable(code: &'static str, detail: &'static str, seconds: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(seconds)
    }

    /// The problem for a bare error status that some layer below has answered with.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "method_not_allowed",
                "This path does not take that method; the Allow header names those it takes.",
            ),
            StatusCode::REQUEST_TIMEOUT => {
                Self::new(status, "request_timeout", "The request took too long to arrive.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(status, "too_large", "The body is larger than is accepted here.")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type(),
            status if status.is_client_error() => {
                Self::new(status, "bad_request", "The request cannot be understood.")
            }
            status if status == StatusCode::SERVICE_UNAVAILABLE => {
                Self::unavailable("unavailable", "The service is busy.", 1)
            }
            _ => Self::internal(),
        }
    }

    /// Adds what is wrong with one field.
    #[must_use]
    pub fn field(
        mut self,
        name: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.0.errors.entry(name.into()).or_default().push(message.into());
        self
    }

    /// Fails with this problem if a field has been named, and otherwise does nothing.
    pub fn check(self) -> Result<(), Self> {
        if self.0.errors.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Says after how many seconds to try again (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code that programs compare.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The sentence that people read.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The JSON document, with the path it arose at and the id of the request where they are known.
    pub fn document(&self, instance: Option<&str>, request_id: Option<&str>) -> Vec<u8> {
        let inner = &self.0;
        let document = Document {
            r#type: format!("urn:messaging:problem:{}", inner.code),
            title: inner.status.canonical_reason().unwrap_or("Error"),
            status: inner.status.as_u16(),
            detail: &inner.detail,
            instance,
            code: inner.code,
            request_id,
            errors: &inner.errors,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    /// The response keeps the problem as an extension, so that an outer layer can render it again with the
    /// path and the request id.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.document(None, None)));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, CONTENT_TYPE_PROBLEM);
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
