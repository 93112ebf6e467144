use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};
use shared::problem::Problem;

use super::asset::{self, asset};
use crate::app::AppState;

/// All comes from this app; nothing that stands in the page itself is run or styles it. Pictures may be made by scripts:
/// the count on the icon, and the preview of a picture that is to be uploaded.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
     manifest-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The page of the interface, which makes of the path what it likes.
const INDEX: &str = "index.html";
/// What a browser installs the interface by.
const MANIFEST: &str = "app.webmanifest";
/// What is served in its place if it has not been built.
const NOT_BUILT: &str = include_str!("not_built.html");
/// Paths that are for programs: below them, what is not there is a problem and no page.
const FOR_PROGRAMS: [&str; 3] = ["/api", "/relay", "/health"];

/// Whatever no other route answers: a file of the interface, its page for any other path that a browser goes to, and 404
/// for the rest.
pub async fn page(
    State(app): State<AppState>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = uri.path();
    let for_programs = FOR_PROGRAMS.iter().any(|root| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if for_programs {
        return Err(Problem::not_found());
    }
    let name = path.trim_start_matches('/');
    let found = match name {
        "" | INDEX => None,
        MANIFEST => Some(manifest(app.about.display_name())?),
        name => asset(name, &headers),
    };
    let response = match found {
        Some(file) => file,
        None if name.is_empty() || is_navigation(name, &headers) => index(&headers),
        None => return Err(Problem::not_found()),
    };
    if matches!(method, Method::GET | Method::HEAD) {
        return Ok(response);
    }
    let problem = Problem::of_status(StatusCode::METHOD_NOT_ALLOWED);
    Ok(([(ALLOW, "GET,HEAD")], problem).into_response())
}

/// The manifest, in the name of this app.
fn manifest(name: &str) -> Result<Response, Problem> {
    let file = asset::text(MANIFEST).ok_or_else(Problem::not_found)?;
    let mut manifest: Value = serde_json::from_str(&file).map_err(|_| Problem::internal())?;
    manifest["name"] = json!(name);
    manifest["short_name"] = json!(name);
    let headers = [(CONTENT_TYPE, "application/manifest+json"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, manifest.to_string()).into_response())
}

/// Whether a person goes to a path, and not a page to one of its files.
fn is_navigation(name: &str, headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") && !name.starts_with("assets/")
}

fn index(headers: &HeaderMap) -> Response {
    let mut response = asset(INDEX, headers).unwrap_or_else(|| Html(NOT_BUILT).into_response());
    let out = response.headers_mut();
    out.insert(CONTENT_SECURITY_POLICY, POLICY);
    out.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    out.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/html; charset=utf-8"));
    response
}
