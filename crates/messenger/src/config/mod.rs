//! What an operator sets: typed, checked, and complained about by name.
//!
//! [`VARIABLES`] is the table of all there is. [`Config::examine`] reads it from an [`Environment`]; each subject has
//! its reader in a file of its own, and beside it what contradicts what.

mod browsers;
mod effective;
mod environment;
mod finding;
mod keys;
mod logs;
mod look;
mod names;
mod network;
mod peers;
mod reader;
mod reference;
mod runtime;
mod source;
mod storage;
mod table;
mod telemetry;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::Url;
use shared::address::AppName;
use zeroize::Zeroizing;

pub use browsers::{Browsers, CookieSettings, REFRESH_PATH};
pub use effective::Effective;
pub use environment::Environment;
pub use finding::{ConfigError, Finding, Level};
pub use look::Accent;
pub use network::is_private;
pub use reference::{dot_env, reference};
pub use source::Source;
pub use storage::RedisPlace;
pub use table::{Preset, Section, VARIABLES, Variable};
pub use telemetry::Collector;
pub use tls::{IdentityFiles, TlsFiles};

use crate::settings::Setting;
use reader::Reader;

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
    /// The certificates that it shows, and those that it trusts.
    pub tls: TlsFiles,
    /// Which database.
    pub database_url: Secret,
    /// The keyring as a list.
    pub fernet_keys: Secret,
    /// Where the keyring stands.
    pub ring_place: Source,
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
    pub redis: Option<RedisPlace>,
    /// Where to serve metrics.
    pub metrics: Option<SocketAddr>,
    /// Where spans are sent.
    pub collector: Option<Collector>,
    /// Whether logs are for people.
    pub debug: bool,
    /// What is logged.
    pub log: String,
}

/// What the settings come to.
pub struct Examined {
    /// The settings, unless something is wrong with them.
    pub config: Option<Config>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
    /// What is in effect and where each value comes from; secrets are redacted.
    pub effective: Vec<Effective>,
}

impl Config {
    /// Reads and checks all settings, and reports everything that is wrong at once.
    pub fn read(environment: &Environment, defaults: Defaults) -> Result<Self, ConfigError> {
        let Examined { config, findings, .. } = Self::examine(environment, defaults);
        let wrong = findings.into_iter().filter(|finding| finding.level == Level::Error);
        config.ok_or_else(|| ConfigError(wrong.map(|finding| finding.message).collect()))
    }

    /// Reads and checks all settings, and finds what is wrong or odd about them, and what is in effect.
    pub fn examine(environment: &Environment, defaults: Defaults) -> Examined {
        if environment.is_unreadable() {
            // What it should have said is not missing.
            let findings = environment.findings();
            return Examined { config: None, findings, effective: Vec::new() };
        }
        let mut reader = Reader::new(environment);
        let config = Self::gather(&mut reader, defaults);
        if let Some(config) = &config {
            config.look(&mut reader);
        }
        let effective = effective::of(&reader);
        let findings = reader.findings;
        let sound = findings.iter().all(|finding| finding.level != Level::Error);
        Examined { config: config.filter(|_| sound), findings, effective }
    }

    /// Reads everything. Where something is wrong, the reader knows it, and what stands here does not count.
    fn gather(reader: &mut Reader<'_>, defaults: Defaults) -> Option<Self> {
        let app = reader.text_or("APP_NAME", defaults.app.to_owned());
        let app: AppName = reader.understand("APP_NAME", &app)?;
        let public_url = reader.public_url();
        let tls = reader.tls();
        let over_tls = is_over_tls(public_url.as_deref(), &tls);
        let debug = reader.parse("DEBUG").unwrap_or_default();
        Some(Self {
            display_name: reader.display_name(app.as_str()),
            accent: reader.accent(defaults.accent),
            bind: reader.bind(defaults.port),
            database_url: reader.database_url(app.as_str()),
            fernet_keys: reader.fernet_keys(),
            ring_place: reader.ring_place(),
            jwt_secret: reader.signing_secret("JWT_SECRET"),
            peers: reader.peers(app.as_str()),
            give_up_after: reader.seconds("RELAY_GIVE_UP_SECONDS", 0),
            browsers: reader.browsers(public_url.as_deref(), over_tls, debug),
            session_max: reader.seconds("SESSION_MAX_SECONDS", 3600),
            header_timeout: reader.seconds("HEADER_TIMEOUT_SECONDS", 1),
            trusted_proxies: reader.trusted_proxies(),
            settings: reader.settings(),
            redis: reader.redis(),
            metrics: reader.metrics(),
            collector: reader.collector(),
            log: reader.log(),
            app,
            public_url,
            tls,
            debug,
        })
    }

    /// Whether clients reach the app over TLS: its own, or that of a proxy.
    pub fn is_over_tls(&self) -> bool {
        is_over_tls(self.public_url.as_deref(), &self.tls)
    }

    /// Finds what does not go together.
    fn look(&self, reader: &mut Reader<'_>) {
        let public_url = self.public_url.as_deref();
        reader.secrets_have_one_purpose(&self.fernet_keys, &self.jwt_secret, &self.peers);
        reader.look_at_peers(&self.app, &self.peers);
        reader.look_at_network(self.bind, public_url, &self.peers);
        reader.look_at_proxies(public_url, &self.tls, &self.trusted_proxies);
        reader.look_at_tls(public_url, &self.tls, &self.peers);
        reader.look_at_metrics(self.bind, self.metrics);
        reader.look_at_storage(&self.database_url, self.redis.as_ref());
        reader.look_at_browsers(self.is_over_tls(), &self.browsers);
        reader.look_at_times(&self.settings, self.session_max, self.give_up_after);
        reader.look_at_debug(self.debug, public_url);
    }
}

fn is_over_tls(public_url: Option<&str>, tls: &TlsFiles) -> bool {
    tls.server.is_some() || public_url.is_some_and(|url| url.starts_with("https://"))
}

fn capitals(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use shared::encryption::Keyring;

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
        assert!(read(&[]).unwrap().redis.is_none());
        let config = read(&[("REDIS_URL", "redis://:hush-hush@localhost:6379/1")]).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
        for bad in ["localhost", "http://localhost", "redis://:hush@h:port", "rediss://h#insecure"]
        {
            let text = read(&[("REDIS_URL", bad)]).unwrap_err();
            assert!(text.contains("REDIS_URL") && !text.contains("hush"), "{text}");
        }
        let over_tls = [("REDIS_URL", "rediss://h"), ("REDIS_CA_FILE", "ca.pem")];
        let redis = read(&over_tls).unwrap().redis.unwrap();
        assert!(redis.is_encrypted() && redis.authority.is_some());
    }

    #[test]
    fn a_database_is_verified_by_an_authority_or_the_setting_says_what_is_wrong() {
        let url = |query: &str| format!("postgres://anna:hush-hush@db.example.org/app?{query}");
        for bad in ["sslmode=maybe", "sslrootcert=ca.pem", "sslmode=require&sslrootcert=ca.pem"] {
            let text = read(&[("DATABASE_URL", &url(bad))]).unwrap_err();
            assert!(text.contains("sslmode") && !text.contains("hush"), "{text}");
        }
        for (query, says) in [
            ("sslmode=verify-full&sslrootcert=ca.pem", None),
            ("sslmode=verify-full", None),
            ("sslmode=verify-ca&sslrootcert=ca.pem", Some("verified")),
            ("sslmode=require", Some("verified")),
            ("sslmode=disable", Some("in the clear")),
            ("", Some("in the clear")),
            ("host=/run/postgresql", None),
            ("hostaddr=10.0.0.1", None),
        ] {
            let Examined { findings, .. } = examine(&[("DATABASE_URL", &url(query))]);
            let found = findings.iter().filter(|finding| finding.variable == "DATABASE_URL");
            let found: Vec<_> = found.map(|finding| finding.message.as_str()).collect();
            let hit = found.iter().any(|found| says.is_some_and(|says| found.contains(says)));
            assert_eq!(
                (found.len(), hit),
                (usize::from(says.is_some()), says.is_some()),
                "{query}: {found:?}"
            );
            assert!(!format!("{found:?}").contains("hush"), "{found:?}");
        }
    }

    fn examine(change: &[(&str, &str)]) -> Examined {
        let mut vars = good();
        for (name, value) in change {
            vars.retain(|(known, _)| known != name);
            vars.push(((*name).to_owned(), (*value).to_owned()));
        }
        Config::examine(&Environment::new(vars, DEFAULTS.app), DEFAULTS)
    }

    #[test]
    fn what_contradicts_each_other_is_found_and_named() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Level, &'a str);
        use Level::{Error, Warning};
        let (https, sqlite) = (("PUBLIC_URL", "https://a.example.org"), "sqlite://x.db");
        let (postgres, otlp) =
            (("DATABASE_URL", "postgres://a@db/a"), "OTEL_EXPORTER_OTLP_ENDPOINT");
        let secret = "s".repeat(32);
        let cases: &[Case] = &[
            (&[https, ("COOKIE_SECURE", "false")], Error, "COOKIE_SECURE"),
            (&[https], Warning, "TRUSTED_PROXIES"),
            (&[("TRUSTED_PROXIES", "0.0.0.0/0")], Warning, "TRUSTED_PROXIES"),
            (&[("PUBLIC_URL", "http://a.example.org")], Warning, "PUBLIC_URL"),
            (&[("DATABASE_URL", sqlite), ("REDIS_URL", "redis://h")], Warning, "REDIS_URL"),
            (&[postgres, ("REDIS_URL", "redis://:p@r.example.org")], Warning, "REDIS_URL"),
            (&[("REDIS_URL", "redis://h"), ("REDIS_CA_FILE", "ca.pem")], Warning, "REDIS_CA_FILE"),
            (&[("JWT_SECRET", &secret), ("RELAY_SECRET", &secret)], Error, "JWT_SECRET"),
            (&[("PEERS", "app-b=http://b.example.org")], Warning, "PEERS"),
            (&[("PEERS", "app-b=http://127.0.0.1:8001")], Error, "PEERS"),
            (&[("PEERS", "app-b=http://h:1,app-c=http://h:1")], Error, "PEERS"),
            (&[("RELAY_SECRET_APP_C", &secret)], Warning, "RELAY_SECRET_APP_C"),
            (&[https, ("CORS_ALLOWED_ORIGINS", "http://b.org")], Warning, "CORS_ALLOWED_ORIGINS"),
            (&[https, ("COOKIE_SAME_SITE", "none")], Warning, "COOKIE_SAME_SITE"),
            (
                &[("ACCESS_TOKEN_LIFETIME", "9"), ("REFRESH_TOKEN_LIFETIME", "8")],
                Warning,
                "ACCESS_TOKEN_LIFETIME",
            ),
            (&[("SESSION_MAX_SECONDS", "3600")], Warning, "SESSION_MAX_SECONDS"),
            (&[("RELAY_GIVE_UP_SECONDS", "60")], Warning, "RELAY_GIVE_UP_SECONDS"),
            (&[("RUST_LOG", "info,=x=")], Error, "RUST_LOG"),
            (&[("METRICS_ADDR", "nowhere")], Error, "METRICS_ADDR"),
            (&[("METRICS_ADDR", "127.0.0.1:8001")], Error, "METRICS_ADDR"),
            (&[(otlp, "collector:4318")], Error, otlp),
            (&[(otlp, "http://c.example.org")], Warning, otlp),
            (&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")], Warning, "OTEL_EXPORTER_OTLP_HEADERS"),
            (&[("OTEL_EXPORTER_OTLP_HEADERS", "hush")], Error, "OTEL_EXPORTER_OTLP_HEADERS"),
            (&[https, ("DEBUG", "true")], Warning, "DEBUG"),
            (&[("FERNET_KEY", "x")], Warning, "FERNET_KEY"),
        ];
        for (change, level, variable) in cases {
            let Examined { config, findings, .. } = examine(change);
            let found = findings.iter().find(|f| f.variable == *variable && f.level == *level);
            let found = found.unwrap_or_else(|| panic!("{change:?}: {findings:?}"));
            assert!(found.message.contains(variable), "{found:?}");
            assert_eq!(config.is_none(), *level == Error, "{change:?}");
        }
        let good =
            [https, ("TRUSTED_PROXIES", "10.0.0.0/8"), ("PEERS", "app-b=https://b.example.org")];
        assert_eq!(examine(&good).findings, []);
    }

    #[test]
    fn what_is_in_effect_is_shown_with_its_origin_and_without_secrets() {
        let effective = examine(&[("APP_A_PAGE_SIZE", "7"), ("DATA_DIR", "store")]).effective;
        let of = |name: &str| {
            let one = effective.iter().find(|one| one.name == name).unwrap();
            (one.value.as_deref(), one.source, one.from.as_deref())
        };
        assert_eq!(of("PAGE_SIZE"), (Some("7"), "environment", Some("APP_A_PAGE_SIZE")));
        assert_eq!(of("DATABASE_URL"), (Some("sqlite://store/app-a.db"), "default", None));
        assert_eq!(of("BIND_ADDR"), (Some("127.0.0.1:8001"), "default", None));
        assert_eq!(of("PUBLIC_URL"), (None, "default", None));
        assert_eq!(of("JWT_SECRET"), (Some("[secret]"), "environment", Some("JWT_SECRET")));
        assert!(!format!("{effective:?}").contains("jjjj"));
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
