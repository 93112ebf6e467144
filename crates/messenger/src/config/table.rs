//! The one table of variables. Reading, the reference, `.env.example`, `config print` and the search for misspelt
//! names are all made of it, so a variable that is not in here does not exist.

use Preset::{Own, Required, Unset, Value};

/// What holds where a variable is not set.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// It must be set; these are its lines in a `.env` that is to be filled in.
    Required(&'static [&'static str]),
    /// Nothing; the words say what that comes to.
    Unset(&'static str),
    /// This value.
    Value(&'static str),
    /// A value of each binary's own: that of AppA, and that of AppB.
    Own(&'static str, &'static str),
}

/// One variable: its name, and what the reference says about it.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name; with the prefix of an app before it, it counts for that app alone.
    pub name: &'static str,
    /// What holds where it is not set.
    pub preset: Preset,
    /// One to three sentences.
    pub about: &'static str,
    /// Whether its value is a secret, which may also come from the file that `NAME_FILE` names.
    pub secret: bool,
    /// Whether two apps that read one `.env` need a value each.
    pub each: bool,
    /// A value that it may have, where the preset does not show one.
    pub example: &'static str,
}

const fn variable(name: &'static str, preset: Preset, about: &'static str) -> Variable {
    Variable { name, preset, about, secret: false, each: false, example: "" }
}

impl Variable {
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn each(self) -> Self {
        Self { each: true, ..self }
    }

    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }
}

/// Variables of one subject.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// In the order in which an operator meets them.
    pub variables: &'static [Variable],
}

/// What stands before the name of a peer in the name of the variable that has the secret of that peer alone.
pub const PER_PEER: &str = "RELAY_SECRET_";

/// Every variable that an app reads, but for the defaults of runtime settings, which stand in `settings/table.rs`.
pub const VARIABLES: &[Section] = &[
    Section {
        title: "Required",
        variables: &[
            variable(
                "FERNET_KEYS",
                Required(&["FERNET_KEYS="]),
                "The Fernet keys that seal messages, separated by commas, the same on both apps: the first seals, all open. Each is 32 random bytes in base64url, as `app-a keygen` prints them. Who has them can read every stored message.",
            )
            .secret()
            .example("Zm9y…,b2xk…"),
            variable(
                "RELAY_SECRET",
                Required(&["RELAY_SECRET="]),
                "What the two apps sign requests to each other with; 32 characters or more, the same on both. `RELAY_SECRET_APP_B` is one for the peer app-b alone.",
            )
            .secret(),
            variable(
                "JWT_SECRET",
                Required(&["APP_A_JWT_SECRET=", "APP_B_JWT_SECRET="]),
                "What signs access tokens; 32 characters or more. Each app has its own, and it is used for nothing else.",
            )
            .secret()
            .each(),
            variable(
                "PEERS",
                Required(&[
                    "APP_A_PEERS=app-b=http://127.0.0.1:8002",
                    "APP_B_PEERS=app-a=http://127.0.0.1:8001",
                ]),
                "The other apps as name=url, separated by commas; a URL is scheme, host and port and nothing else.",
            )
            .each()
            .example("app-b=https://chat.example.org"),
        ],
    },
    Section {
        title: "The app and its address",
        variables: &[
            variable(
                "APP_NAME",
                Own("app-a", "app-b"),
                "The app's name, the part of an address after the @. It is in every stored user and token: choose it once.",
            ),
            variable(
                "DISPLAY_NAME",
                Own("AppA", "AppB"),
                "What people call the app, on its pages: `APP_NAME` in words unless it is set. One line of at most 40 characters.",
            ),
            variable(
                "ACCENT",
                Own("indigo", "teal"),
                "The colour by which its pages are told from those of other apps: indigo, teal, violet, rose, amber or slate.",
            ),
            variable(
                "BIND_ADDR",
                Own("127.0.0.1:8001", "127.0.0.1:8002"),
                "Address and port to listen on.",
            )
            .example("0.0.0.0:8001"),
            variable(
                "PUBLIC_URL",
                Unset("`http://`, or `https://` with `TLS_CERT_FILE`, and the `Host` header of the request"),
                "How clients reach the app, for the links in its answers and to tell its own pages from those of others: scheme, host and port. With https it turns HSTS on.",
            )
            .each()
            .example("https://chat.example.org"),
            variable(
                "TRUSTED_PROXIES",
                Unset("no proxy is believed"),
                "The proxies before the app, as networks or addresses separated by commas. Their word counts for who the client is (`X-Forwarded-For`); nobody else's does. Behind a proxy that is not named here, all clients look like one.",
            )
            .example("10.0.0.0/8, ::1"),
            variable(
                "HEADER_TIMEOUT_SECONDS",
                Value("10"),
                "How many seconds the headers of a request may take, and before them the handshake of TLS.",
            ),
        ],
    },
    Section {
        title: "TLS",
        variables: &[
            variable(
                "TLS_CERT_FILE",
                Unset("plain HTTP"),
                "TLS of the app's own: the certificate, with those between it and its authority, in PEM. This and the other files of TLS are read anew when they change and at SIGHUP; what is not sound is logged, and the old stays.",
            )
            .each()
            .example("/etc/messaging/fullchain.pem"),
            variable(
                "TLS_KEY_FILE",
                Unset("no key; `TLS_CERT_FILE` needs one"),
                "The private key of that certificate, in PEM.",
            )
            .each()
            .example("/etc/messaging/privkey.pem"),
            variable(
                "TLS_CLIENT_CA_FILE",
                Unset("peers need no certificate to connect"),
                "Who must have signed the certificates that peers show when they connect, in PEM. Browsers and other clients need none.",
            )
            .example("/etc/messaging/peers.pem"),
            variable(
                "PEER_CA_FILE",
                Unset("those whom the system trusts"),
                "Who must have signed the certificates of peers whose URLs begin with https://, in PEM.",
            )
            .example("/etc/messaging/authority.pem"),
            variable(
                "PEER_CLIENT_CERT_FILE",
                Unset("peers are shown no certificate"),
                "The certificate that peers are shown, in PEM.",
            )
            .each()
            .example("/etc/messaging/app.pem"),
            variable(
                "PEER_CLIENT_KEY_FILE",
                Unset("no key; `PEER_CLIENT_CERT_FILE` needs one"),
                "The private key of that certificate, in PEM.",
            )
            .each()
            .example("/etc/messaging/app.key"),
        ],
    },
    Section {
        title: "Storage",
        variables: &[
            variable("DATA_DIR", Value("data"), "The folder for files. It is made if it is not there."),
            variable(
                "DATABASE_URL",
                Own("sqlite://data/app-a.db", "sqlite://data/app-b.db"),
                "Where the data is: sqlite://path, or postgres://user:password@host/name. Each app has its own database. `?sslmode=verify-full` has PostgreSQL reached over TLS and its certificate verified, by those whom the system trusts and, with `&sslrootcert=FILE`, by the authorities in that file. Unless it is set, a file in `DATA_DIR` that is called like the app.",
            )
            .secret()
            .example("postgres://user:password@host/name"),
            variable(
                "REDIS_URL",
                Unset("replicas count and wake each other through the database"),
                "A Redis that the replicas of an app share: redis://[user:password@]host[:port][/database], or rediss://… over TLS. It is worth having where an app runs in several processes; without it, or while it is away, each of them goes by what it knows itself. The apps may share one.",
            )
            .secret()
            .example("redis://127.0.0.1:6379"),
            variable(
                "REDIS_CA_FILE",
                Unset("those whom the system trusts"),
                "Who must have signed the certificate of a Redis whose URL begins with rediss://, in PEM. It is read at start.",
            )
            .example("/etc/messaging/redis.pem"),
        ],
    },
    Section {
        title: "The relay",
        variables: &[variable(
            "RELAY_GIVE_UP_SECONDS",
            Value("604800"),
            "After how many seconds a message that a peer has not taken is given up and becomes failed; a week.",
        )],
    },
    Section {
        title: "Browsers and sessions",
        variables: &[
            variable(
                "CORS_ALLOWED_ORIGINS",
                Unset("the app's own pages alone"),
                "The other origins whose pages may use the app, separated by commas, as browsers write them. Its own, that of `PUBLIC_URL`, always may; without `PUBLIC_URL` that is whatever the `Host` header says.",
            )
            .example("https://chat.example.org"),
            variable(
                "COOKIE_ACCESS_NAME",
                Value("Authentication"),
                "The name of the cookie with the access token. Before the names of cookies stands `__Host-` (`__Secure-` for the refresh token, which goes to /api/auth/ alone, and for all with `COOKIE_DOMAIN`) where cookies are Secure, unless `COOKIE_PREFIXES` is false.",
            ),
            variable(
                "COOKIE_REFRESH_NAME",
                Value("Refresh"),
                "The name of the cookie with the refresh token.",
            ),
            variable(
                "COOKIE_CSRF_NAME",
                Value("csrftoken"),
                "The name of the cookie with the CSRF token.",
            ),
            variable(
                "COOKIE_PREFIXES",
                Value("true"),
                "Whether `__Host-` or `__Secure-` stands before the names of cookies that are Secure.",
            ),
            variable(
                "COOKIE_DOMAIN",
                Unset("the app's host alone, which is safer"),
                "The domain whose hosts all get the cookies.",
            )
            .example("example.org"),
            variable(
                "COOKIE_SAME_SITE",
                Value("lax"),
                "lax, strict or none: whether cookies go along with requests that pages of other sites cause.",
            ),
            variable(
                "COOKIE_SECURE",
                Value("true"),
                "Whether cookies go over TLS alone. false only where `DEBUG` is true and neither `PUBLIC_URL` nor `TLS_CERT_FILE` says TLS, and there by default.",
            ),
            variable(
                "SESSION_MAX_SECONDS",
                Value("7776000"),
                "After how many seconds a session ends, however often it is refreshed; 90 days. Unused, it ends after 30 days.",
            ),
        ],
    },
    Section {
        title: "Logs, metrics and traces",
        variables: &[
            variable(
                "DEBUG",
                Value("false"),
                "true: logs for people, and cookies that go over plain HTTP too. false: JSON lines for machines.",
            ),
            variable(
                "RUST_LOG",
                Value("info"),
                "What is logged: error, warn, info, debug or trace, for all or per target.",
            )
            .example("info,audit=debug"),
            variable(
                "METRICS_ADDR",
                Unset("no metrics are served"),
                "Address and port that Prometheus reads `/metrics` at: one of its own, for each app another, out of everybody's reach. Without it nothing is counted.",
            )
            .each()
            .example("127.0.0.1:9101"),
            variable(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                Unset("nothing is told"),
                "A collector of traces that takes OTLP over HTTP, as JSON: its address, to which /v1/traces is added. It is told of each request and each batch between the apps: route, status and time, and nothing about people. The name is that of OpenTelemetry; of its other variables, the next one counts and no other.",
            )
            .example("http://127.0.0.1:4318"),
            variable(
                "OTEL_EXPORTER_OTLP_HEADERS",
                Unset("none"),
                "Headers that the collector wants, as name=value, separated by commas, values percent-encoded.",
            )
            .secret()
            .example("Authorization=Basic%20YWxpY2U…"),
        ],
    },
];

/// All variables, without their sections.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    VARIABLES.iter().flat_map(|section| section.variables)
}

/// The variable of this name.
pub fn named(name: &str) -> Option<&'static Variable> {
    variables().find(|variable| variable.name == name)
}
