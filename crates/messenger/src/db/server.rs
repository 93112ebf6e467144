use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Error, Result};
use crate::tls;

/// A PostgreSQL server, as its URL has it.
pub struct Server {
    /// How to connect to it.
    pub(super) options: PgConnectOptions,
    /// Where the authority is that must have signed its certificate.
    authority: Option<PathBuf>,
}

/// What is certain of a connection to a server before there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// It may be in the clear.
    None,
    /// It is encrypted, to whoever answers.
    Encrypted,
    /// It is encrypted, and to the server that the URL names.
    Verified,
}

impl Server {
    /// Understands `postgres://user:password@host/name`. The complaint about what it does not understand may hold
    /// parts of it.
    pub fn parse(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.statement_cache_capacity(256);
        let url: reqwest::Url =
            url.parse().map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
        let named = |name: &str| ["sslrootcert", "ssl-root-cert", "ssl-ca"].contains(&name);
        let mut parameters = url.query_pairs();
        let authority = parameters.find(|(name, _)| named(name));
        let authority = authority.map(|(_, path)| PathBuf::from(path.into_owned()));
        Ok(Self { options, authority })
    }

    /// Its name or address; `None` if it is reached by a socket of this machine.
    pub fn host(&self) -> Option<&str> {
        self.options.get_socket().is_none().then(|| self.options.get_host())
    }

    /// What its URL asks for.
    pub fn security(&self) -> Security {
        match self.options.get_ssl_mode() {
            PgSslMode::VerifyFull => Security::Verified,
            // Without the name, it is enough to have a certificate of any authority that the system trusts.
            PgSslMode::Require | PgSslMode::VerifyCa => Security::Encrypted,
            PgSslMode::Prefer | PgSslMode::Allow | PgSslMode::Disable => Security::None,
        }
    }

    /// Whether its URL names an authority and does not say that it counts.
    pub fn ignores_its_authority(&self) -> bool {
        let looks =
            matches!(self.options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa);
        self.authority.is_some() && !looks
    }

    /// Gets ready for connections.
    pub(super) fn prepare(&self) -> Result<()> {
        tls::choose_ciphers();
        // The file is read for each connection, and complaints about it do not say which it is.
        if let Some(path) = &self.authority {
            tls::authority(path).map_err(|error| Error::Tls(Arc::new(error)))?;
        }
        Ok(())
    }
}
