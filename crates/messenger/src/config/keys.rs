//! The keys and secrets, each of which has one purpose.

use shared::encryption::Keyring;

use super::{Peer, Reader, Secret, Source};

/// Characters of a signing secret, at least (RFC 8725 §3.5: as many bits as the hash has).
const SECRET_LENGTH: usize = 32;

impl Reader<'_> {
    /// `FERNET_KEYS`.
    pub(super) fn fernet_keys(&mut self) -> Secret {
        let list = self.text("FERNET_KEYS").unwrap_or_default();
        if list.is_empty() {
            self.wrong(
                "FERNET_KEYS",
                "FERNET_KEYS is not set. Make a key with `app-a keygen`, and give both apps the same.",
            );
        } else if let Err(error) = Keyring::parse(list) {
            let why = format!("FERNET_KEYS is not valid: {error}. Make a key with `app-a keygen`.");
            self.wrong("FERNET_KEYS", why);
        }
        Secret::new(list.to_owned())
    }

    /// Where the ring stands.
    pub(super) fn ring_place(&self) -> Source {
        let source = self.environment.source("FERNET_KEYS").cloned();
        source.unwrap_or_else(|| Source::Process("FERNET_KEYS".to_owned()))
    }

    /// A secret that signs: `JWT_SECRET`, or that of a peer.
    pub(super) fn signing_secret(&mut self, name: &str) -> Secret {
        let text = self.text(name).unwrap_or_default();
        let why = match text.chars().count() {
            0 => "is not set".to_owned(),
            length if length < SECRET_LENGTH => {
                format!("has {length} characters; {SECRET_LENGTH} are the least")
            }
            _ => return Secret::new(text.to_owned()),
        };
        self.wrong(name, format!("{name} {why}. Make one with `app-a keygen`."));
        Secret::new(text.to_owned())
    }

    /// Who learns a secret by one of its purposes must not have learnt it for another.
    pub(super) fn secrets_have_one_purpose(&mut self, keys: &Secret, jwt: &Secret, peers: &[Peer]) {
        let is_key = |secret: &Secret| {
            let mut keys = keys.expose().split(',').map(str::trim);
            !secret.expose().is_empty() && keys.any(|key| key == secret.expose())
        };
        if is_key(jwt) {
            self.wrong("JWT_SECRET", "JWT_SECRET must not be one of the FERNET_KEYS.");
        }
        for peer in peers {
            let name = self.secret_of(&peer.name);
            if is_key(&peer.secret) {
                self.wrong(&name, format!("{name} must not be one of the FERNET_KEYS."));
            }
            if !jwt.expose().is_empty() && jwt.expose() == peer.secret.expose() {
                let why = format!(
                    "JWT_SECRET must not be {name}: the peer could sign access tokens. Make another one with `app-a keygen`."
                );
                self.wrong("JWT_SECRET", why);
            }
        }
    }
}
