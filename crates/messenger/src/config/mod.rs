//! What an operator sets: typed, checked, and complained about by name.

mod browsers;
mod environment;
mod look;
mod telemetry;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use reqwest::Url;
use shared::address::AppName;
use shared::encryption::Keyring;
use zeroize::Zeroizing;

pub use browsers::{Browsers, CookieSettings, REFRESH_PATH};
pub use environment::Environment;
pub use look::Accent;

use crate::settings::Setting;

/// What differs between the binaries.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The default of `APP_NAME`; in capitals it is the prefix of overrides, `APP_A_` for `app-a`.
    pub app: &'static str,
    /// The default port of `BIND_ADDR`, on 127.0.0.1.
    pub port: u16,
    /// The default of `ACCENT`.
    pub accent: Accent,
}

/// A text that no log, error or `Debug` shows, and that is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// One variable: its name, and what the reference says about it.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name; with the prefix of an app before it, it counts for that app alone.
    pub name: &'static str,
    /// Whether its value is a secret, which may also come from the file that `NAME_FILE` names.
    pub secret: bool,
    /// One sentence.
    pub about: &'static str,
}

const fn plain(name: &'static str, about: &'static str) -> Variable {
    Variable { name, secret: false, about }
}

const fn secret(name: &'static str, about: &'static str) -> Variable {
    Variable { name, secret: true, about }
}

/// Every variable that an app reads.
pub const VARIABLES: &[Variable] = &[
    plain("APP_NAME", "The app's name, the part of an address after the @; app-a or app-b."),
    plain("DISPLAY_NAME", "What people call the app; AppA for app-a."),
    plain(
        "ACCENT",
        "The colour of its pages: indigo, teal, violet, rose, amber or slate; the app's own.",
    ),
    plain("BIND_ADDR", "Address and port to listen on; 127.0.0.1:8001 or :8002."),
    plain(
        "PUBLIC_URL",
        "How clients reach the app, for the links in its answers; the Host header.",
    ),
    secret(
        "DATABASE_URL",
        "sqlite://file or postgres://user:password@host/name; a file in DATA_DIR.",
    ),
    plain("DATA_DIR", "The folder for files; data."),
    secret(
        "FERNET_KEYS",
        "Fernet keys, the same on both apps: the first seals, all open. Required.",
    ),
    secret("JWT_SECRET", "Signs access tokens, 32 characters or more, each app its own. Required."),
    plain("PEERS", "The other apps as name=url, separated by commas. Required."),
    secret(
        "RELAY_SECRET",
        "Signs what apps send each other, 32 characters or more, the same on both; RELAY_SECRET_APP_B for one peer. Required.",
    ),
    plain(
        "RELAY_GIVE_UP_SECONDS",
        "After how long an undelivered message is failed; 604800, a week.",
    ),
    plain(
        "CORS_ALLOWED_ORIGINS",
        "The origins whose pages may use the app, separated by commas; only its own.",
    ),
    plain("COOKIE_ACCESS_NAME", "The cookie of the access token; Authentication."),
    plain("COOKIE_REFRESH_NAME", "The cookie of the refresh token; Refresh."),
    plain("COOKIE_CSRF_NAME", "The cookie of the CSRF token; csrftoken."),
    plain("COOKIE_PREFIXES", "Whether __Host- or __Secure- stands before their names; true."),
    plain("COOKIE_DOMAIN", "The domain whose hosts all get the cookies; the app's host alone."),
    plain("COOKIE_SAME_SITE", "lax, strict or none; lax."),
    plain("COOKIE_SECURE", "Whether cookies go over TLS alone; true, false with DEBUG on http."),
    plain("SESSION_MAX_SECONDS", "How long a session lives, used or not; 7776000, 90 days."),
    plain("HEADER_TIMEOUT_SECONDS", "How long the headers of a request may take; 10."),
    secret(
        "REDIS_URL",
        "redis://[user:password@]host[:port][/database], shared by the replicas of an app; none.",
    ),
    plain(
        "TRUSTED_PROXIES",
        "Networks whose X-Forwarded-For is believed, separated by commas; none.",
    ),
    plain("METRICS_ADDR", "Address and port that Prometheus reads /metrics at; none."),
    plain("DEBUG", "true: readable logs instead of JSON, cookies without TLS; false."),
    plain("RUST_LOG", "What is logged, as tracing's EnvFilter reads it; info."),
];

/// Another app.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name.
    pub name: AppName,
    /// Where it is: scheme, host and port.
    pub url: Url,
    /// What the two sign with.
    pub secret: Secret,
}

/// The settings of one app, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// This app's name.
    pub app: AppName,
    /// What people call it.
    pub display_name: String,
    /// The colour of its pages.
    pub accent: Accent,
    /// Where to listen.
    pub bind: SocketAddr,
    /// How clients reach it, without a slash at the end.
    pub public_url: Option<String>,
    /// Which database.
    pub database_url: Secret,
    /// The keyring as a list.
    pub fernet_keys: Secret,
    /// What signs access tokens.
    pub jwt_secret: Secret,
    /// The other apps.
    pub peers: Vec<Peer>,
    /// After how long an event that cannot be delivered is given up.
    pub give_up_after: Duration,
    /// Which pages may use the app, and what its cookies look like.
    pub browsers: Browsers,
    /// How long a session lives, however often it is refreshed.
    pub session_max: Duration,
    /// How long the headers of a request may take.
    pub header_timeout: Duration,
    /// The networks of the proxies before the app.
    pub trusted_proxies: Vec<IpNet>,
    /// Runtime settings whose defaults the environment sets.
    pub settings: Vec<(Setting, i64)>,
    /// What the replicas share beside the database.
    pub redis_url: Option<Secret>,
    /// Where to serve metrics.
    pub metrics: Option<SocketAddr>,
    /// Whether logs are for people.
    pub debug: bool,
    /// What is logged.
    pub log: String,
}

/// Everything that is wrong with the settings, one sentence each; no sentence holds a value that may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Characters of a signing secret, at least (RFC 8725 §3.5: as many bits as the hash has).
const SECRET_LENGTH: usize = 32;

impl Config {
    /// Reads and checks all settings, and reports everything that is wrong at once.
    pub fn read(environment: &Environment, defaults: Defaults) -> Result<Self, ConfigError> {
        let mut wrong = environment.complaints();
        let mut reader = Reader { environment, wrong: &mut wrong };
        let app: Option<AppName> = reader.parse("APP_NAME", defaults.app);
        let name = app.as_ref().map_or(defaults.app, AppName::as_str).to_owned();
        let display_name = reader.display_name(&name);
        let accent = reader.accent(defaults.accent);
        let bind = reader.parse("BIND_ADDR", &format!("127.0.0.1:{}", defaults.port));
        let metrics = reader.metrics(bind);
        let public_url = reader.public_url();
        let data = reader.text("DATA_DIR").unwrap_or("data").trim_end_matches('/').to_owned();
        let database_url = reader.database_url(&format!("sqlite://{data}/{name}.db"));
        let fernet_keys = reader.fernet_keys();
        let jwt_secret = reader.signing_secret("JWT_SECRET");
        let peers = reader.peers(&name);
        let give_up = reader.parse("RELAY_GIVE_UP_SECONDS", "604800");
        let session_max = reader.seconds("SESSION_MAX_SECONDS", 90 * 24 * 3600, 3600);
        let header_timeout = reader.seconds("HEADER_TIMEOUT_SECONDS", 10, 1);
        let trusted_proxies = reader.trusted_proxies();
        let settings = reader.settings();
        let redis_url = reader.redis_url();
        let debug = reader.parse("DEBUG", "false");
        let browsers = reader.browsers(public_url.as_deref(), debug.unwrap_or_default());
        let log = reader.text("RUST_LOG").unwrap_or("info").to_owned();
        if let (Some(fernet_keys), Some(jwt_secret)) = (&fernet_keys, &jwt_secret)
            && fernet_keys.expose().contains(jwt_secret.expose())
        {
            wrong.push("JWT_SECRET must not be one of the FERNET_KEYS.".to_owned());
        }
        let complete = (app, bind, database_url, fernet_keys, jwt_secret, give_up, debug);
        let (
            Some(app),
            Some(bind),
            Some(database_url),
            Some(fernet_keys),
            Some(jwt_secret),
            Some(give_up),
            Some(debug),
        ) = complete
        else {
            return Err(ConfigError(wrong));
        };
        if !wrong.is_empty() {
            return Err(ConfigError(wrong));
        }
        let give_up_after = Duration::from_secs(give_up);
        Ok(Self {
            app,
            display_name,
            accent,
            bind,
            public_url,
            database_url,
            fernet_keys,
            jwt_secret,
            peers,
            give_up_after,
            browsers,
            session_max,
            header_timeout,
            trusted_proxies,
            settings,
            redis_url,
            metrics,
            debug,
            log,
        })
    }
}

struct Reader<'a> {
    environment: &'a Environment,
    wrong: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name)
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
        default: &str,
    ) -> Option<T> {
        match self.text(name).unwrap_or(default).parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong.push(format!("{name} is not valid: {error}"));
                None
            }
        }
    }

    /// A number of seconds, `least` or more.
    fn seconds(&mut self, name: &str, default: u32, least: u32) -> Duration {
        let seconds: u32 = self.parse(name, &default.to_string()).unwrap_or(default);
        if seconds < least {
            self.wrong.push(format!("{name} must be {least} or more."));
        }
        Duration::from_secs(seconds.into())
    }

    fn public_url(&mut self) -> Option<String> {
        let text = self.text("PUBLIC_URL")?;
        if let Err(why) = base_url(text) {
            self.wrong.push(format!("PUBLIC_URL {why}"));
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    fn database_url(&mut self, default: &str) -> Option<Secret> {
        let url = self.text("DATABASE_URL").unwrap_or(default);
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if known.iter().any(|scheme| url.starts_with(scheme)) {
            return Some(Secret::new(url.to_owned()));
        }
        self.wrong.push("DATABASE_URL must begin with sqlite:// or postgres://.".to_owned());
        None
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for item in self.text("TRUSTED_PROXIES").into_iter().flat_map(|list| list.split(',')) {
            let item = item.trim();
            match item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => networks.push(network),
                Err(_) => self.wrong.push(format!("TRUSTED_PROXIES: {item} is no network.")),
            }
        }
        networks
    }

    /// The runtime settings that the environment has other defaults for.
    fn settings(&mut self) -> Vec<(Setting, i64)> {
        let mut set = Vec::new();
        for &setting in Setting::ALL {
            let name = setting.definition().name;
            let Some(text) = self.text(name) else { continue };
            match setting.read(&serde_json::from_str(text).unwrap_or_default()) {
                Ok(value) => set.push((setting, value)),
                Err(why) => self.wrong.push(format!("{name} is not valid: {why}")),
            }
        }
        set
    }

    fn redis_url(&mut self) -> Option<Secret> {
        let url = self.text("REDIS_URL")?;
        // The parser's words could repeat the password.
        if !url.starts_with("redis://") || redis::Client::open(url).is_err() {
            self.wrong.push("REDIS_URL must be redis://host, with user:password@, :port and /database where they are needed.".to_owned());
        }
        Some(Secret::new(url.to_owned()))
    }

    fn fernet_keys(&mut self) -> Option<Secret> {
        let Some(list) = self.text("FERNET_KEYS") else {
            self.wrong.push(
                "FERNET_KEYS is not set. Make a key with `app-a keygen`, and give both apps the same.".to_owned(),
            );
            return None;
        };
        if let Err(error) = Keyring::parse(list) {
            self.wrong.push(format!(
                "FERNET_KEYS is not valid: {error}. Make a key with `app-a keygen`."
            ));
            return None;
        }
        Some(Secret::new(list.to_owned()))
    }

    fn signing_secret(&mut self, name: &str) -> Option<Secret> {
        let why = match self.text(name).map(|text| text.chars().count()) {
            None => "is not set".to_owned(),
            Some(length) if length < SECRET_LENGTH => {
                format!("has {length} characters; {SECRET_LENGTH} are the least")
            }
            Some(_) => return self.text(name).map(|text| Secret::new(text.to_owned())),
        };
        self.wrong.push(format!("{name} {why}. Make one with `app-a keygen`."));
        None
    }

    fn peers(&mut self, own: &str) -> Vec<Peer> {
        let Some(list) = self.text("PEERS") else {
            self.wrong.push(
                "PEERS is not set. Name the other app, as in app-b=http://127.0.0.1:8002."
                    .to_owned(),
            );
            return Vec::new();
        };
        let mut peers: Vec<Peer> = Vec::new();
        for item in list.split(',').map(str::trim) {
            let parsed = item.split_once('=').ok_or_else(|| "is not name=url".to_owned()).and_then(
                |(name, url)| {
                    let name: AppName =
                        name.trim().parse().map_err(|e| format!("has no app's name: {e}"))?;
                    Ok((name, base_url(url.trim())?))
                },
            );
            match parsed {
                Ok((name, _)) if name.as_str() == own => {
                    self.wrong.push(format!("PEERS names this app, {own}, itself."));
                }
                Ok((name, _)) if peers.iter().any(|peer| peer.name == name) => {
                    self.wrong.push(format!("PEERS names {name} twice."));
                }
                Ok((name, url)) => {
                    let specific = format!("RELAY_SECRET_{}", capitals(name.as_str()));
                    let given = self.text(&specific).is_some();
                    let variable = if given { specific.as_str() } else { "RELAY_SECRET" };
                    if let Some(secret) = self.signing_secret(variable) {
                        peers.push(Peer { name, url, secret });
                    }
                }
                Err(why) => self.wrong.push(format!("PEERS has an entry that {why}.")),
            }
        }
        peers
    }
}

/// A URL that has nothing but scheme, host and port.
fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "is not a URL".to_owned())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !bare || !anonymous || url.host().is_none() {
        return Err("is not http:// or https:// with a host, a port and nothing else".to_owned());
    }
    Ok(url)
}

fn capitals(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults { app: "app-a", port: 8001, accent: Accent::Indigo };

    fn good() -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            pair("FERNET_KEYS", &Keyring::generate_key()),
            pair("JWT_SECRET", &"j".repeat(32)),
            pair("RELAY_SECRET", &"r".repeat(32)),
            pair("PEERS", "app-b=http://127.0.0.1:8002"),
        ]
    }

    fn read(change: &[(&str, &str)]) -> Result<Config, String> {
        let mut vars = good();
        for (name, value) in change {
            vars.retain(|(known, _)| known != name);
            vars.push(((*name).to_owned(), (*value).to_owned()));
        }
        let environment = Environment::new(vars, DEFAULTS.app);
        Config::read(&environment, DEFAULTS).map_err(|error| error.to_string())
    }

    #[test]
    fn only_keys_secrets_and_peers_are_required() {
        let config = read(&[]).unwrap();
        assert_eq!(config.app.as_str(), "app-a");
        assert_eq!(config.bind.to_string(), "127.0.0.1:8001");
        assert_eq!(config.database_url.expose(), "sqlite://data/app-a.db");
        assert!(!format!("{config:?}").contains("jjjj"));
    }

    #[test]
    fn everything_wrong_is_said_at_once_by_name_and_without_values() {
        let text = read(&[
            ("FERNET_KEYS", "shorty"),
            ("JWT_SECRET", "tiny-and-secret"),
            ("RELAY_SECRET", ""),
            ("PEERS", "app-a=http://x,app-b=ftp://y,app-c"),
            ("BIND_ADDR", "nowhere"),
            ("DATABASE_URL", "mysql://x"),
        ])
        .unwrap_err();
        for name in ["FERNET_KEYS", "JWT_SECRET", "PEERS", "BIND_ADDR", "DATABASE_URL", "keygen"] {
            assert!(text.contains(name), "{name} in {text}");
        }
        assert!(!text.contains("shorty") && !text.contains("tiny-and-secret"), "{text}");
    }

    #[test]
    fn a_prefix_overrides_for_one_app_and_a_misspelt_one_is_reported() {
        let key = Keyring::generate_key();
        let config = read(&[("APP_A_BIND_ADDR", "0.0.0.0:1"), ("APP_B_BIND_ADDR", "0.0.0.0:2")]);
        assert_eq!(config.unwrap().bind.port(), 1);
        let text = read(&[("APP_A_FERNET_KEY", &key)]).unwrap_err();
        assert!(text.contains("APP_A_FERNET_KEY") && text.contains("FERNET_KEYS"), "{text}");
        let secret = "s".repeat(40);
        let config = read(&[("RELAY_SECRET_APP_B", &secret)]).unwrap();
        assert_eq!(config.peers[0].secret.expose(), secret);
    }

    #[test]
    fn runtime_settings_get_other_defaults_and_proxies_are_networks_or_addresses() {
        let config = read(&[
            ("APP_A_RATE_LIMIT_SEND", "0"),
            ("REGISTRATION_OPEN", "false"),
            ("TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ]);
        let config = config.unwrap();
        assert!(config.settings.contains(&(Setting::LimitSend, 0)));
        assert!(config.settings.contains(&(Setting::RegistrationOpen, 0)));
        assert_eq!(config.trusted_proxies.len(), 2);
        for (name, bad) in [
            ("RATE_LIMIT_SEND", "-1"),
            ("PAGE_SIZE", "many"),
            ("REGISTRATION_OPEN", "1"),
            ("TRUSTED_PROXIES", "10.0.0.0/33"),
            ("APP_A_RATE_LIMIT_SENT", "1"),
        ] {
            assert!(read(&[(name, bad)]).unwrap_err().contains(name), "{name}");
        }
    }

    #[test]
    fn redis_is_optional_and_its_password_is_not_shown() {
        assert!(read(&[]).unwrap().redis_url.is_none());
        let config = read(&[("REDIS_URL", "redis://:hush-hush@localhost:6379/1")]).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
        for bad in ["localhost", "http://localhost", "redis://:hush@h:port", "rediss://h"] {
            let text = read(&[("REDIS_URL", bad)]).unwrap_err();
            assert!(text.contains("REDIS_URL") && !text.contains("hush"), "{text}");
        }
    }

    #[test]
    fn a_missing_key_says_how_to_make_one() {
        for name in ["FERNET_KEYS", "JWT_SECRET", "RELAY_SECRET", "PEERS"] {
            let text = read(&[(name, "")]).unwrap_err();
            assert!(text.contains(name) && text.contains("not set"), "{text}");
        }
        let key = Keyring::generate_key();
        assert!(read(&[("FERNET_KEYS", &format!("{key},{key}"))]).unwrap_err().contains("key 2"));
        assert!(read(&[("JWT_SECRET", &key), ("FERNET_KEYS", &key)]).is_err());
    }
}
