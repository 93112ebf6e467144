use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};
use shared::problem::Problem;

use crate::config::Config;

/// What a browser says about where a request comes from (W3C Fetch Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The origins whose pages may act for their users: the app's own, and those of `CORS_ALLOWED_ORIGINS`.
pub struct Origins {
    /// That of `PUBLIC_URL`; without it, whatever the `Host` header says.
    own: Option<String>,
    over_tls: bool,
    listed: Vec<String>,
}

impl Origins {
    /// The origins of a configuration.
    pub fn new(config: &Config) -> Self {
        let url = config.public_url.as_ref().and_then(|url| url.parse::<reqwest::Url>().ok());
        let own = url.map(|url| url.origin().ascii_serialization());
        Self {
            own,
            over_tls: config.is_over_tls(),
            listed: config.browsers.allowed_origins.clone(),
        }
    }

    /// Whether clients reach the app over TLS, its own or, as `PUBLIC_URL` says, that of a proxy.
    pub fn is_over_tls(&self) -> bool {
        self.over_tls
    }

    /// Whether a page of the request's one `Origin` may act for its user; `false` without the header.
    ///
    /// A WebSocket handshake that is authenticated by a cookie must ask this: it is a GET, and carries no CSRF token.
    pub fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = only(headers, ORIGIN.as_str()) else { return false };
        self.is_listed(origin)
            || match &self.own {
                Some(own) => own.eq_ignore_ascii_case(origin),
                None => only(headers, HOST.as_str()).is_some_and(|host| is_of(origin, host)),
            }
    }

    /// Whether `CORS_ALLOWED_ORIGINS` has this origin.
    pub fn is_listed(&self, origin: &str) -> bool {
        self.listed.iter().any(|listed| listed == origin)
    }

    /// Lets a request pass unless a browser says that a foreign page has caused it; 403 `csrf_failed` otherwise.
    ///
    /// A request that says neither `Origin` nor `Sec-Fetch-Site` passes: no current browser sends an unsafe one so.
    pub fn vouch(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let passes = if headers.contains_key(ORIGIN) {
            self.is_allowed(headers)
        } else {
            let mut said = headers.get_all(SEC_FETCH_SITE).iter();
            said.all(|site| site == "same-origin" || site == "none")
        };
        if passes {
            return Ok(());
        }
        Err(Problem::forbidden(
            "csrf_failed",
            "The page that sent this is neither of this app's origin nor of an allowed one.",
        ))
    }
}

/// The value of a header that stands once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value: &HeaderValue = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Whether an origin is that of a `Host`, over whichever scheme.
fn is_of(origin: &str, host: &str) -> bool {
    let of = |scheme: &str, port: &str| {
        origin.strip_prefix(scheme).is_some_and(|authority| {
            let bare = |text: &'_ str| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
            !authority.is_empty() && bare(authority) == bare(host)
        })
    };
    of("http://", ":80") || of("https://", ":443")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "https://chat.example.org";

    fn origins(own: Option<&str>) -> Origins {
        Origins { own: own.map(str::to_owned), listed: vec![LISTED.to_owned()], over_tls: false }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn only_the_own_origin_and_the_listed_ones_are_allowed() {
        let host = "app.example.org";
        for (own, origin, allowed) in [
            (None, LISTED, true),
            (None, "https://app.example.org", true),
            (None, "http://app.example.org:80", true),
            (None, "https://app.example.org:80", false),
            (None, "http://app.example.org:8001", false),
            (None, "https://app.example.org.evil.example", false),
            (None, "https://evilapp.example.org", false),
            (None, "https://chat.example.org.evil.example", false),
            (None, "http://chat.example.org", false),
            (None, "https://CHAT.example.org", false),
            (None, "null", false),
            (None, "", false),
            (None, "http://", false),
            (None, "file://", false),
            (Some("https://public.example.org"), "https://public.example.org", true),
            (Some("https://public.example.org"), "http://public.example.org", false),
            (Some("https://public.example.org"), "https://app.example.org", false),
        ] {
            let headers = headers(&[("host", host), ("origin", origin)]);
            assert_eq!(origins(own).is_allowed(&headers), allowed, "{own:?} {origin}");
            assert_eq!(origins(own).vouch(&headers).is_ok(), allowed, "{own:?} {origin}");
        }
        let twice = headers(&[("host", host), ("origin", LISTED), ("origin", LISTED)]);
        assert!(!origins(None).is_allowed(&twice));
        assert!(!origins(None).is_allowed(&headers(&[("host", host)])));
    }

    #[test]
    fn without_an_origin_the_browser_says_how_far_the_page_is() {
        for (site, passes) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
        ] {
            let headers = headers(&[("host", "app.example.org"), (SEC_FETCH_SITE, site)]);
            assert_eq!(origins(None).vouch(&headers).is_ok(), passes, "{site}");
        }
        assert!(origins(None).vouch(&headers(&[("host", "app.example.org")])).is_ok());
        let foreign = headers(&[("origin", "https://evil.example"), (SEC_FETCH_SITE, "none")]);
        assert!(origins(None).vouch(&foreign).is_err());
    }
}
