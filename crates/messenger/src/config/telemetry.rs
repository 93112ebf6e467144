//! Where an operator looks at the app from.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::Reader;
use super::network::is_private;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// Where spans are sent.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The address that takes them.
    pub url: Url,
    /// What requests to it carry; their values are not shown.
    pub headers: HeaderMap,
}

impl Reader<'_> {
    /// `METRICS_ADDR`, if it is set.
    pub(super) fn metrics(&mut self) -> Option<SocketAddr> {
        let text = self.text("METRICS_ADDR")?;
        self.understand("METRICS_ADDR", text)
    }

    /// Whether metrics would be served where everybody is.
    pub(super) fn look_at_metrics(&mut self, bind: SocketAddr, metrics: Option<SocketAddr>) {
        if metrics == Some(bind) {
            let why = "METRICS_ADDR must not be BIND_ADDR: metrics are not for everybody.";
            self.wrong("METRICS_ADDR", why);
        }
    }

    /// `OTEL_EXPORTER_OTLP_…`, if they are set.
    pub(super) fn collector(&mut self) -> Option<Collector> {
        let mut headers = HeaderMap::new();
        for pair in self.text(HEADERS).into_iter().flat_map(|list| list.split(',')) {
            if let Some((name, value)) = header(pair) {
                headers.append(name, value);
            } else {
                // What it is may be a secret.
                self.wrong(HEADERS, format!("{HEADERS} has an entry that is not name=value."));
            }
        }
        let Some(text) = self.text(ENDPOINT) else {
            if !headers.is_empty() {
                self.warn(HEADERS, format!("{HEADERS} is set, but {ENDPOINT} is not."));
            }
            return None;
        };
        let Some(url) = endpoint(text) else {
            let why = format!(
                "{ENDPOINT} is not http:// or https:// with a host, a port, perhaps a path, and nothing else."
            );
            self.wrong(ENDPOINT, why);
            return None;
        };
        let host = url.host_str().unwrap_or_default();
        if url.scheme() == "http" && !is_private(host) {
            let why = format!(
                "{ENDPOINT} is plain http at a host that is not private, {host}: whoever is on the way sees what the app does, and the headers. Use https."
            );
            self.warn(ENDPOINT, why);
        }
        Some(Collector { url, headers })
    }
}

/// One `name=value` of the list, the value percent-encoded where it must be.
fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

/// Where the traces go of a collector that is at this address.
fn endpoint(text: &str) -> Option<Url> {
    let mut url: Url = text.parse().ok()?;
    let bare = url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !bare || !anonymous || !url.has_host() {
        return None;
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_a_path_of_their_own_below_that_of_the_collector() {
        for (text, address) in [
            ("http://collector:4318", Some("http://collector:4318/v1/traces")),
            ("https://c.example.org/otlp/", Some("https://c.example.org/otlp/v1/traces")),
            ("collector:4318", None),
            ("http://anna:hush@collector", None),
            ("http://collector?key=hush", None),
        ] {
            assert_eq!(endpoint(text).as_ref().map(Url::as_str), address, "{text}");
        }
    }

    #[test]
    fn headers_are_decoded_and_not_shown() {
        let (name, value) = header(" Authorization = Basic%20YTpi+Yw== ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Basic YTpi+Yw=="));
        assert!(!format!("{value:?}").contains("YTpi"));
        for bad in ["", "name", "na me=value", "name=a%0Ab"] {
            assert!(header(bad).is_none(), "{bad}");
        }
    }
}
