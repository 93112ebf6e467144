use std::time::Duration;

use axum::response::{IntoResponseParts, ResponseParts};
use cookie::time::{Duration as Seconds, OffsetDateTime};
use cookie::{Cookie, CookieBuilder};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use shared::problem::Problem;

use crate::config::{CookieSettings, REFRESH_PATH};

/// Reads and writes the cookies of a browser's session.
///
/// Access and refresh token are out of reach for scripts (`HttpOnly`); the CSRF token is there to be read by them.
pub struct Cookies {
    settings: CookieSettings,
}

/// Cookies on their way to the browser.
#[derive(Debug)]
pub struct SetCookies(Vec<HeaderValue>);

impl Cookies {
    pub fn new(settings: &CookieSettings) -> Self {
        Self { settings: settings.clone() }
    }

    /// The access token that a request brings.
    pub fn access<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        find(headers, &self.settings.access)
    }

    /// The refresh token that a request brings.
    pub fn refresh<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        find(headers, &self.settings.refresh)
    }

    /// The CSRF token that a request brings as a cookie.
    pub fn csrf<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        find(headers, &self.settings.csrf)
    }

    /// Gives a browser the tokens of a session: the access token for as long as it lives, the others for `session`.
    pub fn set(
        &self,
        access: (&str, Duration),
        refresh: &str,
        csrf: &str,
        session: Duration,
    ) -> Result<SetCookies, Problem> {
        let (access, lifetime) = access;
        let cookies = self.all(access, refresh, csrf).into_iter().zip([lifetime, session, session]);
        written(cookies.map(|(cookie, age)| cookie.max_age(seconds(age))))
    }

    /// Gives a browser another CSRF token.
    pub fn set_csrf(&self, csrf: &str, session: Duration) -> Result<SetCookies, Problem> {
        let [_, _, cookie] = self.all("", "", csrf);
        written([cookie.max_age(seconds(session))])
    }

    /// Takes all of them back: the same attributes, and nothing in them.
    pub fn clear(&self) -> Result<SetCookies, Problem> {
        let gone = |cookie: CookieBuilder<'static>| {
            cookie.max_age(Seconds::ZERO).expires(OffsetDateTime::UNIX_EPOCH)
        };
        written(self.all("", "", "").map(gone))
    }

    /// The three cookies with what does not change: name, domain, path and flags.
    fn all(&self, access: &str, refresh: &str, csrf: &str) -> [CookieBuilder<'static>; 3] {
        let settings = &self.settings;
        let cookie = |name: &str, value: &str, path: &'static str, http_only: bool| {
            let cookie = Cookie::build((name.to_owned(), value.to_owned()))
                .path(path)
                .same_site(settings.same_site)
                .secure(settings.secure)
                .http_only(http_only);
            match &settings.domain {
                Some(domain) => cookie.domain(domain.clone()),
                None => cookie,
            }
        };
        [
            cookie(&settings.access, access, "/", true),
            cookie(&settings.refresh, refresh, REFRESH_PATH, true),
            cookie(&settings.csrf, csrf, "/", false),
        ]
    }
}

fn written(
    cookies: impl IntoIterator<Item = CookieBuilder<'static>>,
) -> Result<SetCookies, Problem> {
    let header = |cookie: CookieBuilder<'static>| {
        let mut value =
            HeaderValue::try_from(cookie.build().to_string()).map_err(|_| Problem::internal())?;
        value.set_sensitive(true);
        Ok(value)
    };
    cookies.into_iter().map(header).collect::<Result<_, Problem>>().map(SetCookies)
}

fn seconds(duration: Duration) -> Seconds {
    Seconds::seconds(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
}

/// The value of a cookie that stands once. Of two with one name, one may be planted, and nothing says which.
fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    let value = found.next().filter(|value| !value.is_empty())?;
    found.next().is_none().then_some(value)
}

impl IntoResponseParts for SetCookies {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        for value in self.0 {
            parts.headers_mut().append(SET_COOKIE, value);
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_only_if_it_stands_once() {
        let read = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            find(&headers, "Refresh").map(str::to_owned)
        };
        assert_eq!(read(&["a=b; Refresh=x=y; c=d"]).as_deref(), Some("x=y"));
        assert_eq!(read(&["a=b", "Refresh=x"]).as_deref(), Some("x"));
        for lines in [
            &[][..],
            &["refresh=x"],
            &["XRefresh=x"],
            &["Refresh"],
            &["Refresh="],
            &["Refresh=x; Refresh=y"],
            &["Refresh=x; Refresh=x"],
            &["Refresh=; Refresh=x"],
            &["Refresh=x", "Refresh=y"],
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
    }
}
