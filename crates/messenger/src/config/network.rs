//! Where the app is, and what stands before it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use reqwest::Url;

use super::{Peer, Reader, TlsFiles};

/// Names of hosts that the Internet does not know (RFC 6761, RFC 6762, RFC 8375, and the one that ICANN has reserved).
const PRIVATE_NAMES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "test"];

impl Reader<'_> {
    /// `BIND_ADDR`.
    pub(super) fn bind(&mut self, port: u16) -> SocketAddr {
        let otherwise = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let text = self.text_or("BIND_ADDR", otherwise.to_string());
        self.understand("BIND_ADDR", &text).unwrap_or(otherwise)
    }

    /// `PUBLIC_URL`, without a slash at its end.
    pub(super) fn public_url(&mut self) -> Option<String> {
        let text = self.text("PUBLIC_URL")?;
        if let Err(why) = base_url(text) {
            self.wrong("PUBLIC_URL", format!("PUBLIC_URL {why}."));
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    /// `TRUSTED_PROXIES`.
    pub(super) fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for item in self.text("TRUSTED_PROXIES").into_iter().flat_map(|list| list.split(',')) {
            let item = item.trim();
            match item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => networks.push(network),
                Err(_) => {
                    self.wrong(
                        "TRUSTED_PROXIES",
                        format!("TRUSTED_PROXIES: {item} is no network."),
                    );
                }
            }
        }
        networks
    }

    /// What is odd about addresses and proxies, though an app starts with it.
    pub(super) fn look_at_network(
        &mut self,
        bind: SocketAddr,
        public_url: Option<&str>,
        peers: &[Peer],
    ) {
        let public = public_url.and_then(|url| url.parse::<Url>().ok());
        for Peer { name, url, .. } in peers {
            let literal = url.host_str().and_then(|host| bare(host).parse::<IpAddr>().ok());
            let bound =
                literal == Some(bind.ip()) && url.port_or_known_default() == Some(bind.port());
            if bound || public.as_ref() == Some(url) {
                let why = format!("PEERS: the URL of {name} is that of this app itself.");
                self.wrong("PEERS", why);
            }
        }
        if let Some(url) = &public {
            let private = url.host_str().is_some_and(is_private);
            if url.scheme() == "http" && !private {
                self.warn(
                    "PUBLIC_URL",
                    "PUBLIC_URL is plain http at a host that is not private: passwords and tokens cross the network in the clear. Put TLS before the app and use https.",
                );
            }
        }
    }

    /// What is odd about the proxies before the app, though it starts with it.
    pub(super) fn look_at_proxies(
        &mut self,
        public_url: Option<&str>,
        tls: &TlsFiles,
        proxies: &[IpNet],
    ) {
        let is_encrypted = public_url.is_some_and(|url| url.starts_with("https://"));
        if is_encrypted && tls.server.is_none() && proxies.is_empty() {
            self.warn(
                "TRUSTED_PROXIES",
                "TRUSTED_PROXIES is not set while PUBLIC_URL is https: behind a proxy, all clients count as one, and a few wrong passwords of one person stop the log-ins of all. Name the proxy's network.",
            );
        }
        if proxies.iter().any(|network| network.prefix_len() == 0) {
            self.warn(
                "TRUSTED_PROXIES",
                "TRUSTED_PROXIES holds every address there is: anybody may say who they are, and no rate limit by address stops them. Name the proxy's network alone.",
            );
        }
    }
}

/// A URL that has nothing but scheme, host and port.
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "is not a URL".to_owned())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !bare || !anonymous || url.host().is_none() {
        return Err("is not http:// or https:// with a host, a port and nothing else".to_owned());
    }
    Ok(url)
}

/// Whether a host of a URL is on this machine or on a private network, as far as its name or address says.
pub fn is_private(host: &str) -> bool {
    match bare(host).parse::<IpAddr>().map(|address| address.to_canonical()) {
        // 100.64.0.0/10 is shared by the customers of a provider and not routed beyond (RFC 6598).
        Ok(IpAddr::V4(ip)) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || shared
        }
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        // A name of a single word is one of this network, such as that of a container.
        Err(_) => {
            let host = host.trim_end_matches('.');
            let within = |zone: &&str| host == *zone || host.ends_with(&format!(".{zone}"));
            !host.contains('.') || PRIVATE_NAMES.iter().any(within)
        }
    }
}

/// A host as `url` writes it, without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn hosts_are_private_by_their_address_or_by_their_name() {
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.0.1",
            "100.64.0.1",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "app-b",
            "app-b.localhost",
            "app-b.internal",
            "nas.home.arpa",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in [
            "1.2.3.4",
            "172.32.0.1",
            "100.128.0.1",
            "[2001:db8::1]",
            "chat.example.org",
            "localhost.example.org",
            "internal.org",
        ] {
            assert!(!is_private(host), "{host}");
        }
    }
}
