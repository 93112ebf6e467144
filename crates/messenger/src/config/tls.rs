//! Where the certificates and keys of TLS are.

use std::path::PathBuf;

use super::{Peer, Reader};

/// The files of TLS, all in PEM. Both sides of it are read anew when a file changes.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// What the app shows to those who connect; without it, it serves plain HTTP.
    pub server: Option<IdentityFiles>,
    /// Who signs the certificates that peers have to show.
    pub client_ca: Option<PathBuf>,
    /// Who signs the certificates of peers; without it, those whom the system trusts.
    pub peer_ca: Option<PathBuf>,
    /// What the app shows to its peers.
    pub peer_client: Option<IdentityFiles>,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct IdentityFiles {
    /// The certificate, and after it those between it and its authority.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
}

impl Reader<'_> {
    /// `TLS_…` and `PEER_C…`.
    pub(super) fn tls(&mut self) -> TlsFiles {
        TlsFiles {
            server: self.identity("TLS_CERT_FILE", "TLS_KEY_FILE"),
            client_ca: self.path("TLS_CLIENT_CA_FILE"),
            peer_ca: self.path("PEER_CA_FILE"),
            peer_client: self.identity("PEER_CLIENT_CERT_FILE", "PEER_CLIENT_KEY_FILE"),
        }
    }

    /// What does not go together with TLS.
    pub(super) fn look_at_tls(&mut self, public_url: Option<&str>, tls: &TlsFiles, peers: &[Peer]) {
        if tls.client_ca.is_some() && tls.server.is_none() {
            let why = "TLS_CLIENT_CA_FILE needs TLS_CERT_FILE: over plain HTTP nobody can show a certificate.";
            self.wrong("TLS_CLIENT_CA_FILE", why);
        }
        if tls.server.is_some() && public_url.is_some_and(|url| url.starts_with("http://")) {
            let why = "PUBLIC_URL is plain http, but with TLS_CERT_FILE the app is reached by https alone.";
            self.wrong("PUBLIC_URL", why);
        }
        if peers.iter().any(|peer| peer.url.scheme() == "https") {
            return;
        }
        for (name, is_set) in [
            ("PEER_CA_FILE", tls.peer_ca.is_some()),
            ("PEER_CLIENT_CERT_FILE", tls.peer_client.is_some()),
        ] {
            if is_set {
                self.warn(name, format!("{name} is set, but no URL in PEERS is https."));
            }
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn identity(&mut self, certificate: &str, key: &str) -> Option<IdentityFiles> {
        match (self.path(certificate), self.path(key)) {
            (Some(certificate), Some(key)) => Some(IdentityFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.wrong(key, format!("{key} is not set, and {certificate} needs it."));
                None
            }
            (None, Some(_)) => {
                let why = format!("{certificate} is not set, and {key} is of no use without it.");
                self.wrong(certificate, why);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Accent, Config, Defaults, Environment};

    fn read(change: &[(&str, &str)]) -> Result<Config, String> {
        let (key, other) = ("k".repeat(32), "o".repeat(32));
        let fernet = shared::encryption::Keyring::generate_key();
        let sound = [
            ("FERNET_KEYS", fernet.as_str()),
            ("JWT_SECRET", &key),
            ("RELAY_SECRET", &other),
            ("PEERS", "app-b=https://b.example.org"),
        ];
        let all = sound.iter().chain(change).map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let defaults = Defaults { app: "app-a", port: 8001, accent: Accent::Indigo };
        Config::read(&Environment::new(all, "app-a"), defaults).map_err(|error| error.to_string())
    }

    #[test]
    fn certificates_have_keys_and_contradictions_are_named() {
        let both = [("APP_A_TLS_CERT_FILE", "c.pem"), ("TLS_KEY_FILE", "k.pem")];
        let config = read(&both).unwrap();
        assert!(
            config.tls.server.is_some() && config.is_over_tls() && config.browsers.cookies.secure
        );
        assert!(read(&[]).unwrap().tls.server.is_none());
        for (change, named) in [
            (vec![("TLS_CERT_FILE", "c.pem")], "TLS_KEY_FILE"),
            (vec![("PEER_CLIENT_KEY_FILE", "k.pem")], "PEER_CLIENT_CERT_FILE"),
            (vec![("TLS_CLIENT_CA_FILE", "ca.pem")], "TLS_CERT_FILE"),
            ([&both[..], &[("PUBLIC_URL", "http://a.example.org")]].concat(), "PUBLIC_URL"),
            (
                [&both[..], &[("DEBUG", "true"), ("COOKIE_SECURE", "false")]].concat(),
                "COOKIE_SECURE",
            ),
        ] {
            assert!(read(&change).unwrap_err().contains(named), "{named}");
        }
    }
}
