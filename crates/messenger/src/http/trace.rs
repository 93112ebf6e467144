use std::fmt::Write;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use shared::problem::Problem;
use uuid::Uuid;

/// How one request is found again in the logs of both apps.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The trace-id of W3C Trace Context: the caller's, or a fresh one. It travels with what the request causes.
    pub id: Uuid,
    /// The caller's span, which this request is a part of.
    pub caller: Option<u64>,
    /// The span of this request, if spans are collected.
    pub span: Option<u64>,
    /// The caller's `X-Request-Id`, or else the trace-id; every response and problem carries it.
    pub request: Arc<str>,
}

/// The header that names a request.
pub const REQUEST_ID: &str = "x-request-id";

impl Trace {
    /// Reads `traceparent` and `X-Request-Id`, and makes up what is missing or malformed.
    pub fn of(headers: &HeaderMap) -> Self {
        let parent = headers.get("traceparent").and_then(|value| parent(value.to_str().ok()?));
        let (id, caller) = parent.unwrap_or_else(|| (Uuid::from_u128(rand::random()), None));
        let request = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let request = request.filter(|text| is_plain(text)).map_or_else(
            || {
                let mut text = String::with_capacity(32);
                let _ = write!(text, "{}", id.simple());
                text.into()
            },
            Into::into,
        );
        Self { id, caller, span: None, request }
    }
}

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The trace-id and the parent-id of a `traceparent` of any version (W3C Trace Context §3.2).
fn parent(header: &str) -> Option<(Uuid, Option<u64>)> {
    let mut parts = header.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let sound = version.len() == 2 && trace.len() == 32 && span.len() == 16;
    if !sound || version == "ff" || ![version, trace, span].into_iter().all(lower_hex) {
        return None;
    }
    let id = Uuid::try_parse(trace).ok().filter(|id| !id.is_nil())?;
    Some((id, u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)))
}

impl<S: Send + Sync> FromRequestParts<S> for Trace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn trace(parent: &'static str, request: &'static str) -> Trace {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(parent));
        headers.insert(REQUEST_ID, HeaderValue::from_static(request));
        Trace::of(&headers)
    }

    #[test]
    fn a_sound_parent_is_kept_and_anything_else_replaced() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let kept = trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "");
        assert_eq!(kept.id.simple().to_string(), id);
        assert_eq!(&*kept.request, id);
        assert_eq!(kept.caller, Some(0x00f0_67aa_0ba9_02b7));
        for bad in [
            "",
            "00-xyz-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert_ne!(trace(bad, "").id, Uuid::nil());
        }
        assert_eq!(&*trace("", "my-id.1").request, "my-id.1");
        assert_ne!(&*trace("", "two words").request, "two words");
    }
}
