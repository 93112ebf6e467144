//! How the app deals with browsers: which pages may use it, and what its cookies look like.

use cookie::SameSite;
use reqwest::Url;

use super::Reader;

/// Which pages may use the app, and what its cookies look like.
#[derive(Clone, Debug)]
pub struct Browsers {
    /// The origins whose pages may call the app and read its answers, beside its own.
    pub allowed_origins: Vec<String>,
    /// What the cookies look like.
    pub cookies: CookieSettings,
}

/// What the cookies of a session look like; names are complete, with their prefixes.
#[derive(Clone, Debug)]
pub struct CookieSettings {
    /// The cookie of the access token.
    pub access: String,
    /// The cookie of the refresh token.
    pub refresh: String,
    /// The cookie of the CSRF token.
    pub csrf: String,
    /// The domain whose hosts all get the cookies; only the app's own host without it.
    pub domain: Option<String>,
    /// Whether browsers send them over TLS alone.
    pub secure: bool,
    /// Whether they are sent with requests that other sites cause.
    pub same_site: SameSite,
}

/// The path of the refresh cookie: only the routes that need it get it.
pub const REFRESH_PATH: &str = "/api/auth/";

impl Reader<'_> {
    /// `CORS_ALLOWED_ORIGINS` and `COOKIE_…`, given the other settings that they depend on.
    pub(super) fn browsers(
        &mut self,
        public_url: Option<&str>,
        over_tls: bool,
        debug: bool,
    ) -> Browsers {
        let cookies = self.cookies(public_url, over_tls, debug);
        Browsers { allowed_origins: self.origins(), cookies }
    }

    /// What is odd about origins and cookies, though an app starts with it.
    pub(super) fn look_at_browsers(&mut self, over_tls: bool, browsers: &Browsers) {
        let Browsers { allowed_origins, cookies } = browsers;
        let mut plain = allowed_origins.iter().filter(|origin| origin.starts_with("http://"));
        if let Some(origin) = plain.next().filter(|_| over_tls) {
            let why = format!(
                "CORS_ALLOWED_ORIGINS: {origin} is plain http while this app speaks TLS; browsers take it for another site and send it no cookies, and whoever is on the way can write its pages."
            );
            self.warn("CORS_ALLOWED_ORIGINS", why);
        }
        if cookies.same_site == SameSite::None && allowed_origins.is_empty() {
            self.warn(
                "COOKIE_SAME_SITE",
                "COOKIE_SAME_SITE=none is for pages of other sites, and CORS_ALLOWED_ORIGINS names none; lax is safer.",
            );
        }
    }

    fn origins(&mut self) -> Vec<String> {
        let Some(list) = self.text("CORS_ALLOWED_ORIGINS") else { return Vec::new() };
        let mut origins = Vec::new();
        for (index, text) in list.split(',').map(str::trim).enumerate() {
            match origin(text) {
                Ok(origin) => origins.push(origin),
                Err(why) => {
                    let number = index + 1;
                    let why = format!("CORS_ALLOWED_ORIGINS: entry {number} {why}.");
                    self.wrong("CORS_ALLOWED_ORIGINS", why);
                }
            }
        }
        origins
    }

    fn cookies(&mut self, public_url: Option<&str>, over_tls: bool, debug: bool) -> CookieSettings {
        let secure = self.secure(over_tls, debug);
        let domain = self.cookie_domain(public_url);
        let same_site = match self.text_or_preset("COOKIE_SAME_SITE") {
            text if text.eq_ignore_ascii_case("lax") => SameSite::Lax,
            text if text.eq_ignore_ascii_case("strict") => SameSite::Strict,
            text if text.eq_ignore_ascii_case("none") && secure => SameSite::None,
            text if text.eq_ignore_ascii_case("none") => {
                self.wrong(
                    "COOKIE_SAME_SITE",
                    "COOKIE_SAME_SITE=none needs cookies that are Secure: browsers drop others.",
                );
                SameSite::None
            }
            _ => {
                self.wrong("COOKIE_SAME_SITE", "COOKIE_SAME_SITE must be lax, strict or none.");
                SameSite::Lax
            }
        };
        let prefixed = self.parse("COOKIE_PREFIXES").unwrap_or(true);
        let prefix = |path: &str| match (prefixed && secure, &domain, path) {
            (false, ..) => "",
            (true, None, "/") => "__Host-",
            (true, ..) => "__Secure-",
        };
        let (root, narrow) = (prefix("/"), prefix(REFRESH_PATH));
        let access = self.cookie_name("COOKIE_ACCESS_NAME", root);
        let refresh = self.cookie_name("COOKIE_REFRESH_NAME", narrow);
        let csrf = self.cookie_name("COOKIE_CSRF_NAME", root);
        if access == refresh || access == csrf || refresh == csrf {
            let names = "COOKIE_ACCESS_NAME, COOKIE_REFRESH_NAME and COOKIE_CSRF_NAME";
            self.wrong("COOKIE_ACCESS_NAME", format!("{names} must be three different names."));
        }
        CookieSettings { access, refresh, csrf, domain, secure, same_site }
    }

    fn secure(&mut self, over_tls: bool, debug: bool) -> bool {
        // Without TLS, a browser would not send them back.
        let otherwise = !debug || over_tls;
        let text = self.text_or("COOKIE_SECURE", otherwise.to_string());
        let secure = self.understand("COOKIE_SECURE", &text).unwrap_or(true);
        if !secure && over_tls {
            let why = "COOKIE_SECURE=false contradicts TLS, by PUBLIC_URL or TLS_CERT_FILE.";
            self.wrong("COOKIE_SECURE", why);
        } else if !secure && !debug {
            self.wrong("COOKIE_SECURE", "COOKIE_SECURE=false is for DEBUG=true alone.");
        }
        secure
    }

    fn cookie_domain(&mut self, public_url: Option<&str>) -> Option<String> {
        let domain = self.text("COOKIE_DOMAIN")?;
        let host = public_url.and_then(|url| Some(url.parse::<Url>().ok()?.host_str()?.to_owned()));
        let letters = domain.bytes().any(|byte| byte.is_ascii_lowercase());
        let plain =
            domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
        if !plain || !letters || domain.starts_with('.') || domain.ends_with('.') {
            self.wrong("COOKIE_DOMAIN", "COOKIE_DOMAIN must be a domain such as example.org.");
        } else if let Some(host) = host
            && host != domain
            && !host.ends_with(&format!(".{domain}"))
        {
            let why = format!("COOKIE_DOMAIN does not contain the host of PUBLIC_URL, {host}.");
            self.wrong("COOKIE_DOMAIN", why);
        }
        Some(domain.to_owned())
    }

    fn cookie_name(&mut self, variable: &str, prefix: &str) -> String {
        let name = self.text_or_preset(variable);
        // The token of RFC 9110 §5.6.2.
        let token = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if !token {
            self.wrong(variable, format!("{variable} may have letters, digits, - and _ alone."));
        } else if name.starts_with("__") {
            let why = format!(
                "{variable} must not begin with __: __Host- and __Secure- are added where they hold."
            );
            self.wrong(variable, why);
        }
        format!("{prefix}{name}")
    }
}

/// An origin as browsers write it (RFC 6454 §6.2), or why it is none.
fn origin(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err("must not have a *: name each origin, as in https://chat.example.org".into());
    }
    let written = |text: &str| {
        let url: Url = text.parse().ok()?;
        let plain = matches!(url.scheme(), "http" | "https") && url.has_host();
        plain.then(|| url.origin().ascii_serialization())
    };
    match written(text) {
        Some(origin) if origin == text => Ok(origin),
        Some(origin) => Err(format!("is not an origin; the nearest is {origin}")),
        None => match written(&format!("https://{text}")).filter(|_| !text.contains("://")) {
            Some(origin) if text != "null" => {
                Err(format!("has no scheme; the nearest is {origin}"))
            }
            _ => Err("is not an origin such as https://chat.example.org".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Defaults, Environment};

    fn read(change: &[(&str, &str)]) -> Result<Browsers, String> {
        let (first, second, third) = ("j".repeat(32), "r".repeat(32), "app-b=http://127.0.0.1:1");
        let keys = shared::encryption::Keyring::generate_key();
        let good = [
            ("FERNET_KEYS", keys.as_str()),
            ("JWT_SECRET", &first),
            ("RELAY_SECRET", &second),
            ("PEERS", third),
        ];
        let all = good.iter().chain(change).map(|(name, value)| ((*name).into(), (*value).into()));
        let environment = Environment::new(all, "app-a");
        let config = Config::read(
            &environment,
            Defaults { app: "app-a", port: 8001, accent: crate::config::Accent::Indigo },
        );
        config.map(|config| config.browsers).map_err(|error| error.to_string())
    }

    #[test]
    fn names_have_the_strongest_prefix_that_holds() {
        let names = |change: &[(&str, &str)]| {
            let cookies = read(change).unwrap().cookies;
            [cookies.access, cookies.refresh, cookies.csrf].join(" ")
        };
        assert_eq!(names(&[]), "__Host-Authentication __Secure-Refresh __Host-csrftoken");
        assert_eq!(names(&[("DEBUG", "true")]), "Authentication Refresh csrftoken");
        assert_eq!(names(&[("COOKIE_PREFIXES", "false")]), "Authentication Refresh csrftoken");
        let over_tls = [("DEBUG", "true"), ("PUBLIC_URL", "https://a.example.org")];
        assert_eq!(names(&over_tls), names(&[]));
        assert_eq!(
            names(&[("COOKIE_DOMAIN", "example.org"), ("COOKIE_ACCESS_NAME", "a")]),
            "__Secure-a __Secure-Refresh __Secure-csrftoken"
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_errors() {
        let https = ("PUBLIC_URL", "https://a.example.org");
        for change in [
            &[("COOKIE_SECURE", "false")][..],
            &[("COOKIE_SECURE", "false"), ("DEBUG", "true"), https],
            &[("COOKIE_SECURE", "maybe")],
            &[("COOKIE_SAME_SITE", "none"), ("DEBUG", "true")],
            &[("COOKIE_SAME_SITE", "loose")],
            &[("COOKIE_DOMAIN", "example.com"), https],
            &[("COOKIE_DOMAIN", "ple.org"), https],
            &[("COOKIE_DOMAIN", ".example.org")],
            &[("COOKIE_DOMAIN", "127.0.0.1")],
            &[("COOKIE_DOMAIN", "https://example.org")],
            &[("COOKIE_ACCESS_NAME", "Refresh"), ("COOKIE_PREFIXES", "false")],
            &[("COOKIE_ACCESS_NAME", "csrftoken")],
            &[("COOKIE_CSRF_NAME", "two words")],
            &[("COOKIE_CSRF_NAME", "a=b")],
            &[("COOKIE_REFRESH_NAME", "__Host-Refresh")],
            &[("COOKIE_PREFIXES", "some")],
        ] {
            let said = read(change).expect_err(change[0].1);
            assert!(said.contains(change[0].0), "{change:?}: {said}");
        }
        assert!(read(&[("COOKIE_SAME_SITE", "None"), https]).is_ok());
        assert!(read(&[("COOKIE_DOMAIN", "example.org"), https]).is_ok());
        assert!(!read(&[("DEBUG", "true")]).unwrap().cookies.secure);
    }

    #[test]
    fn an_origin_that_is_none_is_an_error_that_names_the_nearest() {
        let list = "https://a.example.org, http://localhost:5173,https://[::1]:8443";
        let read_origins = |list: &str| read(&[("CORS_ALLOWED_ORIGINS", list)]);
        let origins = read_origins(list).unwrap().allowed_origins;
        assert_eq!(
            origins,
            ["https://a.example.org", "http://localhost:5173", "https://[::1]:8443"]
        );
        for (list, says) in [
            ("*", "must not have a *"),
            ("https://*.example.org", "must not have a *"),
            ("null", "such as https://"),
            ("https://a.example.org/", "nearest is https://a.example.org"),
            ("https://A.example.org", "nearest is https://a.example.org"),
            ("https://a.example.org:443", "nearest is https://a.example.org"),
            ("https://a.example.org/app?x=y", "nearest is https://a.example.org"),
            ("https://user:secret@a.example.org", "nearest is https://a.example.org"),
            ("a.example.org", "nearest is https://a.example.org"),
            ("localhost:5173", "nearest is https://localhost:5173"),
            ("ftp://a.example.org", "such as https://"),
            ("https://a.example.org,,", "entry 2"),
            ("https://", "such as https://"),
            ("file:///x", "such as https://"),
        ] {
            let said = read_origins(list).expect_err(list);
            assert!(said.contains("CORS_ALLOWED_ORIGINS") && said.contains(says), "{list}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
