//! Where the data is.

use std::path::PathBuf;

use reqwest::Url;

use super::network::is_private;
use super::{Reader, Secret};
use crate::db::{Security, Server};

/// The Redis that replicas share.
#[derive(Clone, Debug)]
pub struct RedisPlace {
    /// `redis://…`, or over TLS `rediss://…`.
    pub url: Secret,
    /// Who must have signed its certificate; without it, those whom the system trusts.
    pub authority: Option<PathBuf>,
}

impl RedisPlace {
    /// Whether it is spoken to over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.url.expose().starts_with("rediss://")
    }
}

impl Reader<'_> {
    /// `DATABASE_URL`, by default a file in `DATA_DIR` that is called like the app.
    pub(super) fn database_url(&mut self, app: &str) -> Secret {
        let data = self.text_or_preset("DATA_DIR").trim_end_matches('/');
        let url = self.text_or("DATABASE_URL", format!("sqlite://{data}/{app}.db"));
        // The parser's words could repeat the password.
        let is_known =
            url.starts_with("sqlite:") || (is_postgres(&url) && Server::parse(&url).is_ok());
        if !is_known {
            self.wrong(
                "DATABASE_URL",
                "DATABASE_URL must be sqlite://path or postgres://user:password@host/name, and there sslmode one of disable, prefer, require, verify-ca and verify-full.",
            );
        }
        Secret::new(url)
    }

    /// `REDIS_URL` and `REDIS_CA_FILE`.
    pub(super) fn redis(&mut self) -> Option<RedisPlace> {
        let authority = self.path("REDIS_CA_FILE");
        let url = self.text("REDIS_URL").map(|url| Secret::new(url.to_owned()));
        let place = url.map(|url| RedisPlace { url, authority: authority.clone() });
        if authority.is_some() && !place.as_ref().is_some_and(RedisPlace::is_encrypted) {
            let why = "REDIS_CA_FILE is set, but REDIS_URL does not begin with rediss://.";
            self.warn("REDIS_CA_FILE", why);
        }
        let url = place.as_ref()?.url.expose();
        let known = url.starts_with("redis://") || url.starts_with("rediss://");
        // A fragment would switch the verification of certificates off. The parser's words could repeat the password.
        if !known || url.contains('#') || redis::Client::open(url).is_err() {
            self.wrong(
                "REDIS_URL",
                "REDIS_URL must be redis://host or, over TLS, rediss://host, with user:password@, :port and /database where they are needed.",
            );
        }
        place
    }

    /// What is odd about them, though an app starts with it.
    pub(super) fn look_at_storage(&mut self, database: &Secret, redis: Option<&RedisPlace>) {
        let database = database.expose();
        if redis.is_some() && database.starts_with("sqlite:") {
            self.warn(
                "REDIS_URL",
                "REDIS_URL is set while the database is SQLite, which has one process: there are no replicas to share it. Use PostgreSQL for replicas, or do without Redis.",
            );
        }
        if let Some(server) = Server::parse(database).ok().filter(|_| is_postgres(database)) {
            self.look_at_server(&server);
        }
        if let Some(redis) = redis.filter(|redis| !redis.is_encrypted())
            && let Ok(url) = redis.url.expose().parse::<Url>()
            && let Some(host) = url.host_str().filter(|host| !is_private(host))
        {
            let why = format!(
                "REDIS_URL is redis:// at a host that is not private, {host}; its password, and who types and is online, cross the network in the clear. Use rediss://."
            );
            self.warn("REDIS_URL", why);
        }
    }

    fn look_at_server(&mut self, server: &Server) {
        if server.ignores_its_authority() {
            let why =
                "DATABASE_URL has sslrootcert, which is only looked at with sslmode=verify-full.";
            self.wrong("DATABASE_URL", why);
        }
        let Some(host) = server.host().filter(|host| !is_private(host)) else { return };
        let what = match server.security() {
            Security::Verified => return,
            Security::Encrypted => {
                "does not have the server at a host that is not private verified"
            }
            Security::None => {
                "lets the database at a host that is not private be spoken to in the clear"
            }
        };
        let why = format!(
            "DATABASE_URL {what}, {host}; whoever is on the way may see or change what is stored. Use sslmode=verify-full."
        );
        self.warn("DATABASE_URL", why);
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
