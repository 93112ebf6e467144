use axum::body::HttpBody;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use shared::encryption::MAX_REQUEST;
use shared::problem::Problem;

/// Bytes for which a response has room from the first, so that a page need not move many times while it grows.
const USUAL: usize = 8 * 1024;

/// A JSON body, in or out; what does not fit the type becomes a problem that names the field and quotes nothing.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_plain_json(request.headers()) {
            return Err(Problem::unsupported_media_type());
        }
        // Said at once, rather than after a body that may never come.
        if announced(request.headers()).is_some_and(|length| length > 2 * MAX_REQUEST) {
            return Err(Problem::too_large(MAX_REQUEST));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::too_large(MAX_REQUEST)
            } else {
                Problem::malformed("The body broke off.")
            }
        })?;
        parse(&body).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    /// An empty body is none, whatever its media type.
    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

/// The JSON object that a body is; an array of the values in their order would fit the type too, but is none.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    // Where a string is not looked at, the parser does not look at its encoding either.
    let body =
        std::str::from_utf8(body).map_err(|_| Problem::malformed("The body is not UTF-8."))?;
    if body.trim_ascii_start().starts_with(|first| first != '{') {
        return Err(Problem::malformed("The body should be a JSON object."));
    }
    let mut json = serde_json::Deserializer::from_str(body);
    let value = serde_path_to_error::deserialize(&mut json);
    let value = value.map_err(|error| {
        let (path, error) = (error.path().to_string(), error.inner());
        // The parser calls a number that stands for one of several words bad syntax, though it is sound JSON.
        if error.is_syntax() && serde_json::from_str::<IgnoredAny>(body).is_ok() {
            return Problem::invalid().field(path, "This should be a string.");
        }
        describe(&path, error)
    })?;
    json.end().map_err(|error| describe(".", &error))?;
    Ok(value)
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(USUAL);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
                .into_response(),
            Err(error) => {
                tracing::error!(%error, "a response does not serialise");
                Problem::internal().into_response()
            }
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_plain_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json") && !headers.contains_key(CONTENT_ENCODING)
}

/// The problem with a body that does not deserialise.
fn describe(path: &str, error: &serde_json::Error) -> Problem {
    let place = format!("line {} column {}", error.line(), error.column());
    if error.classify() != Category::Data {
        return Problem::malformed(format!(
            "The body is not valid JSON, or ends early, at {place}."
        ));
    }
    let text = error.to_string();
    if let Some(field) =
        text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
    {
        return Problem::invalid().field(field.to_owned(), "This field is required.");
    }
    // What a value was is not repeated, as it may be a secret; what it should be is ours to say.
    let expected = text.rsplit_once(", expected ").map(|(_, rest)| rest);
    let expected = expected.and_then(|rest| rest.split(" at line ").next());
    let message = match expected {
        Some(expected) => format!("This should be {expected}."),
        None if text.starts_with("duplicate field") => "This field stands twice.".to_owned(),
        None => "This is not valid.".to_owned(),
    };
    if path == "." {
        Problem::malformed(message)
    } else {
        Problem::invalid().field(path.to_owned(), message)
    }
}
