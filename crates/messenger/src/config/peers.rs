//! The other apps.

use reqwest::Url;
use shared::address::AppName;

use super::network::{base_url, is_private};
use super::table::PER_PEER;
use super::{Peer, Reader, capitals};

impl Reader<'_> {
    /// `PEERS`, with the secret of each.
    pub(super) fn peers(&mut self, own: &str) -> Vec<Peer> {
        let Some(list) = self.text("PEERS") else {
            self.wrong(
                "PEERS",
                "PEERS is not set. Name the other app, as in app-b=http://127.0.0.1:8002.",
            );
            return Vec::new();
        };
        let mut peers: Vec<Peer> = Vec::new();
        for item in list.split(',').map(str::trim) {
            match entry(item) {
                Ok((name, _)) if name.as_str() == own => {
                    self.wrong("PEERS", format!("PEERS names this app, {own}, itself."));
                }
                Ok((name, _)) if peers.iter().any(|peer| peer.name == name) => {
                    self.wrong("PEERS", format!("PEERS names {name} twice."));
                }
                Ok((name, url)) => {
                    if let Some(other) = peers.iter().find(|peer| peer.url == url) {
                        let why = format!("PEERS has the same URL for {} and {name}.", other.name);
                        self.wrong("PEERS", why);
                    }
                    let secret = self.signing_secret(&self.secret_of(&name));
                    peers.push(Peer { name, url, secret });
                }
                Err(why) => self.wrong("PEERS", format!("PEERS has an entry that {why}.")),
            }
        }
        peers
    }

    /// The variable that has the secret of a peer.
    pub(super) fn secret_of(&self, peer: &AppName) -> String {
        let specific = format!("{PER_PEER}{}", capitals(peer.as_str()));
        if self.text(&specific).is_some() { specific } else { "RELAY_SECRET".to_owned() }
    }

    /// What is odd about the peers, though an app starts with it.
    pub(super) fn look_at_peers(&mut self, own: &AppName, peers: &[Peer]) {
        for Peer { name, url, .. } in peers {
            if url.scheme() == "http" && !url.host_str().is_some_and(is_private) {
                let why = format!(
                    "PEERS: {name} is reached by plain http at a host that is not private, {}; whoever is on the way sees who writes to whom. Use https.",
                    url.host_str().unwrap_or_default()
                );
                self.warn("PEERS", why);
            }
        }
        let named = |name: &str| {
            name == capitals(own.as_str())
                || peers.iter().any(|peer| capitals(peer.name.as_str()) == name)
        };
        let mut strangers = self.environment.secrets_of_peers();
        strangers.retain(|name| !named(name));
        for name in strangers {
            let variable = format!("{PER_PEER}{name}");
            self.warn(&variable, format!("{variable} is for a peer that PEERS does not name."));
        }
    }
}

/// One `name=url` of the list, or what is wrong with it.
fn entry(text: &str) -> Result<(AppName, Url), String> {
    let (name, url) = text.split_once('=').ok_or("is not name=url")?;
    let name = name.trim().parse().map_err(|error| format!("has no app's name: {error}"))?;
    Ok((name, base_url(url.trim())?))
}
