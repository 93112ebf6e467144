use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;
use shared::problem::Problem;

use crate::app::AppState;

/// The other end of the connection, as the listener sees it; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct RemoteAddress(pub IpAddr);

/// Where a request comes from: an IPv4 address, or the /64 network of an IPv6 address, as whoever has one of its
/// addresses usually has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(u128);

impl ClientAddress {
    /// As a number, to count by; IPv4 as mapped into IPv6.
    pub fn number(self) -> u128 {
        self.0
    }

    fn of(address: IpAddr) -> Self {
        const NETWORK: u128 = !0 << 64;
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits() & NETWORK,
        })
    }
}

/// The proxies before the app, whose word about their clients is believed.
#[derive(Debug, Default)]
pub struct Proxies {
    networks: Vec<IpNet>,
    warned: AtomicBool,
}

impl Proxies {
    /// Those in these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, warned: AtomicBool::new(false) }
    }

    /// The client of a request: the other end of the connection, unless that is a proxy; then the right-most entry of
    /// `X-Forwarded-For` that is none. Entries further left are only the client's word.
    ///
    /// `Forwarded` (RFC 7239) is not looked at: a proxy that writes one of the two lets the other through.
    fn client(&self, remote: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = remote.to_canonical();
        let lists = headers.get_all("x-forwarded-for").iter();
        let lists: Vec<_> = lists.map(|list| list.to_str().unwrap_or("?")).collect();
        let mut hops = lists.iter().rev().flat_map(|list| list.rsplit(',')).map(str::trim);
        if !lists.is_empty() && !self.trusts(client) && is_near(client) {
            self.warn(client);
        }
        while self.trusts(client) {
            // Beyond what is no address, nothing is known.
            let Some(next) = hops.next().and_then(address) else { break };
            client = next;
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Once: a proxy that nobody has told the app of makes all its clients look like one.
    fn warn(&self, proxy: IpAddr) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(%proxy, "X-Forwarded-For is not believed, as TRUSTED_PROXIES does not name who sent it");
        }
    }
}

/// An entry of `X-Forwarded-For`, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
    let parsed = bare.parse().ok();
    let parsed = parsed.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

/// Whether it is an address of this machine or of a private network, where proxies are.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let remote = parts.extensions.get::<RemoteAddress>();
        // Nobody is remote who does not come over a connection.
        let remote = remote.map_or(IpAddr::V6(Ipv6Addr::LOCALHOST), |remote| remote.0);
        Ok(Self::of(app.proxies.client(remote, &parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], remote: &str, forwarded: &[&'static str]) -> String {
        let networks = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for list in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(list));
        }
        Proxies::new(networks).client(remote.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_but_a_trusted_proxy_says_who_its_client_is() {
        assert_eq!(client(&[], "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "11.0.0.1", &["1.2.3.4"]), "11.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn what_stands_left_of_the_first_stranger_is_not_believed() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        let chain = ["6.6.6.6, 1.2.3.4", "10.9.9.9,10.0.0.2"];
        assert_eq!(client(&trusted, "10.0.0.1", &chain), "1.2.3.4");
        assert_eq!(client(&trusted, "fd00::1", &["9.9.9.9, [2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client(&trusted, "10.0.0.1", &["9.9.9.9, 1.2.3.4:80"]), "1.2.3.4");
        assert_eq!(client(&trusted, "10.0.0.1", &["1.2.3.4, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client(&trusted, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(&trusted, "10.0.0.1", &["10.0.0.3"]), "10.0.0.3");
    }

    #[test]
    fn a_network_of_64_bits_is_one_client_and_each_ipv4_address_is_its_own() {
        let number = |text: &str| ClientAddress::of(text.parse().unwrap()).number();
        assert_eq!(number("2001:db8::1"), number("2001:db8::ffff:1"));
        assert_ne!(number("2001:db8::1"), number("2001:db8:0:1::1"));
        assert_eq!(number("::ffff:1.2.3.4"), number("1.2.3.4"));
        assert_ne!(number("1.2.3.4"), number("1.2.3.5"));
    }
}
