use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use rust_embed::{Embed, EmbeddedFile};

/// What `make web` has built. Each text is there three times: as it is, and compressed with Brotli (`.br`) and gzip (`.gz`).
#[derive(Embed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// The folder of the files that have a hash of their content in their names, so that they never change.
const HASHED: &str = "assets/";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// A file of the interface in the best form that the client takes, or 304 if it has that; `None` if there is no such file.
pub fn asset(path: &str, headers: &HeaderMap) -> Option<Response> {
    let media_type = media_type(path)?;
    let (file, encoding) = best(path, headers)?;
    let etag = etag(&file)?;
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|known| is_among(known, &etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Body::from(bytes).into_response()
    };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    out.insert(CACHE_CONTROL, if path.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN });
    out.insert(ETAG, etag);
    out.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding.filter(|_| !known) {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Some(response)
}

/// A file as text.
pub fn text(path: &str) -> Option<String> {
    String::from_utf8(Dist::get(path)?.data.into_owned()).ok()
}

/// The media type of what may be served; there is nothing else, and the compressed forms have no path of their own.
fn media_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn best(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let compressed = [("br", "br"), ("gz", "gzip")].into_iter().find_map(|(suffix, encoding)| {
        let file = || Dist::get(&format!("{path}.{suffix}"));
        accepts(headers, encoding).then(file).flatten().map(|file| (file, Some(encoding)))
    });
    compressed.or_else(|| Some((Dist::get(path)?, None)))
}

/// Whether a client has named a content coding, and not with a weight of nothing (RFC 9110 §12.5.3).
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            weight.is_some_and(|weight| weight <= 0.0)
        });
        named && !refused
    })
}

fn etag(file: &EmbeddedFile) -> Option<HeaderValue> {
    use std::fmt::Write;

    let mut text = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        write!(text, "{byte:02x}").ok()?;
    }
    text.push('"');
    HeaderValue::from_str(&text).ok()
}

/// Whether a list of entity tags names one; compared weakly, as RFC 9110 §13.1.2 has it.
fn is_among(list: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(list), Ok(etag)) = (list.to_str(), etag.to_str()) else { return false };
    list.split(',').map(str::trim).any(|item| item == "*" || item.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_names_is_sent_compressed() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts(&headers, "br")
        };
        for yes in ["br", "gzip, br", "gzip;q=0.5,BR;q=1", "br;q=0.001"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "gzip", "*", "br;q=0", "br; q=0.000", "brotli", "xbr"] {
            assert!(!accepts(no), "{no}");
        }
    }

    #[test]
    fn a_tag_is_found_in_a_list() {
        let tag = HeaderValue::from_static("\"a\"");
        for yes in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(is_among(&HeaderValue::from_static(yes), &tag), "{yes}");
        }
        for no in ["", "a", "\"b\"", "\"a"] {
            assert!(!is_among(&HeaderValue::from_static(no), &tag), "{no}");
        }
    }

    #[test]
    fn nothing_is_served_that_is_no_file_of_the_interface() {
        for path in ["", "x", "../Cargo.toml", "..%2Fx.js", "/etc/passwd", "index.html.br", "x.js"]
        {
            assert!(asset(path, &HeaderMap::new()).is_none(), "{path}");
        }
    }
}
