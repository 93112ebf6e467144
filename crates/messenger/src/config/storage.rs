//! Where the data is.

use super::{Reader, Secret};

impl Reader<'_> {
    /// `DATABASE_URL`, by default a file in `DATA_DIR` that is called like the app.
    pub(super) fn database_url(&mut self, app: &str) -> Secret {
        let data = self.text_or_preset("DATA_DIR").trim_end_matches('/');
        let url = self.text_or("DATABASE_URL", format!("sqlite://{data}/{app}.db"));
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if !known.iter().any(|scheme| url.starts_with(scheme)) {
            self.wrong("DATABASE_URL", "DATABASE_URL must begin with sqlite:// or postgres://.");
        }
        Secret::new(url)
    }

    /// `REDIS_URL`.
    pub(super) fn redis_url(&mut self) -> Option<Secret> {
        let url = self.text("REDIS_URL")?;
        // The parser's words could repeat the password.
        if !url.starts_with("redis://") || redis::Client::open(url).is_err() {
            self.wrong(
                "REDIS_URL",
                "REDIS_URL must be redis://host, with user:password@, :port and /database where they are needed.",
            );
        }
        Some(Secret::new(url.to_owned()))
    }

    /// What is odd about them, though an app starts with it.
    pub(super) fn look_at_storage(&mut self, database: &Secret, redis: Option<&Secret>) {
        if redis.is_some() && database.expose().starts_with("sqlite:") {
            self.warn(
                "REDIS_URL",
                "REDIS_URL is set while the database is SQLite, which has one process: there are no replicas to share it. Use PostgreSQL for replicas, or do without Redis.",
            );
        }
    }
}
