//! Whether each peer is there, and this app for each peer.

use std::sync::Arc;

use jiff::fmt::rfc2822::DateTimeParser;
use shared::encryption::{KeyId, Keyring};
use shared::relay::Keys;
use shared::time::Clock;

use super::{Report, certificates};
use crate::config::{Config, Peer};
use crate::relay::{PeerClient, Probe, Unreached, connections};
use crate::tls::Current;

const AREA: &str = "peer";
/// Clocks that differ by more make messages stand in an order that people wonder about.
const ODD_SECONDS: i64 = 5;
/// Clocks that differ by more refuse each other's signatures.
const MOST_SECONDS: i64 = 60;

/// Looks at every peer.
pub(super) async fn look(config: &Config, serving: bool, report: &mut Report) {
    let connections = match connections(config) {
        Ok(connections) => Arc::new(connections),
        Err(error) => {
            let what = format!("TLS cannot be had: {error}");
            report.fail(AREA, what, "Mend the file, or the setting that names it.");
            return;
        }
    };
    for peer in &config.peers {
        one(config, peer, &connections, serving, report).await;
    }
}

async fn one(
    config: &Config,
    peer: &Peer,
    http: &Arc<Current<reqwest::Client>>,
    serving: bool,
    report: &mut Report,
) {
    let Peer { name, url, .. } = peer;
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
    let place = (host.trim_matches(['[', ']']), port.unwrap_or_default());
    if let Err(error) = tokio::net::lookup_host(place).await {
        let what = format!("{name}: the name {host} is not found: {error}");
        report.fail(AREA, what, "Correct the host in PEERS, or the DNS.");
        return;
    }
    let clock = Clock::system();
    let client = PeerClient::new(&config.app, peer, http.clone(), clock.clone());
    let before = clock.wall().seconds();
    let skew = match client.probe().await {
        Ok(Probe { alive: true, date, expiry, .. }) => {
            report.ok(AREA, format!("{name} answers at {url}."));
            if let Some(expiry) = expiry {
                let what = format!("{name}: its certificate");
                let remedy = "Have the operator of the peer renew it: once it has expired, nothing is sent there.";
                certificates::judge(AREA, &what, expiry, clock.wall(), remedy, report);
            }
            let now = i64::midpoint(before, clock.wall().seconds());
            date.and_then(|date| seconds(&date)).map(|theirs| theirs - now)
        }
        Ok(Probe { status, .. }) => {
            let what = format!("{name}: what answers at {url} is no app (status {status}).");
            report.fail(AREA, what, "Correct the URL in PEERS, or the proxy before the peer.");
            return;
        }
        Err(why) => {
            let what = format!("{name} is not reached at {url}: {why}");
            report.fail(AREA, what, unreached(&why));
            return;
        }
    };
    if let Some(skew) = skew {
        clocks(name.as_str(), skew, report);
    }
    let far = skew.is_some_and(|skew| skew.abs() > MOST_SECONDS);
    both_ways(name.as_str(), &client, far, serving, report).await;
    if let (Ok(theirs), Ok(ring)) =
        (client.keys().await, Keyring::parse(config.fernet_keys.expose()))
    {
        rings(name.as_str(), &ring.key_ids(), &theirs, report);
    }
}

/// Each app must hold the key that the other seals with.
fn rings(name: &str, ours: &[KeyId], theirs: &Keys, report: &mut Report) {
    let lacks =
        |ring: &[KeyId], key: Option<&KeyId>| key.filter(|key| !ring.contains(key)).copied();
    let before = report.lines.len();
    if let Some(key) = lacks(&theirs.ring, ours.first()) {
        let what = format!(
            "{name} lacks the key {key}, with which this app seals; it cannot read what is sent to it."
        );
        let remedy = "Put the first of the FERNET_KEYS of this app at the end of those of the peer, and restart the peer.";
        report.fail(AREA, what, remedy);
    }
    if let Some(key) = lacks(ours, theirs.ring.first()) {
        let what = format!(
            "This app lacks the key {key}, with which {name} seals; it cannot read what it is sent."
        );
        let remedy = "Put the first of the FERNET_KEYS of the peer at the end of those of this app, and restart this app.";
        report.fail(AREA, what, remedy);
    }
    if report.lines.len() == before {
        report.ok(AREA, format!("{name} and this app hold each other's sealing keys."));
    }
}

/// What to do where a peer does not answer.
fn unreached(why: &str) -> &'static str {
    let why = why.to_ascii_lowercase();
    if why.contains("certificate expired") {
        "Have the operator of the peer renew its certificate. Messages wait in the outbox meanwhile."
    } else if why.contains("certificate") {
        "Have the peer's certificate renewed, or name its authority: the log of this app says the same at each attempt."
    } else {
        "Start the peer, or correct its URL in PEERS; then look at firewalls. Messages wait in the outbox meanwhile."
    }
}

fn clocks(name: &str, skew: i64, report: &mut Report) {
    let seconds = skew.abs();
    let way = if skew < 0 { "behind" } else { "ahead of" };
    let what = format!("{name}: its clock is {seconds} s {way} this one.");
    let remedy = "Have both machines keep time by NTP (timedatectl, chrony).";
    if seconds > MOST_SECONDS {
        report.fail(AREA, format!("{what} So the two refuse each other's requests."), remedy);
    } else if seconds > ODD_SECONDS {
        report.warn(AREA, what, remedy);
    } else {
        report.ok(AREA, format!("{name}: the clocks agree, to within {ODD_SECONDS} s."));
    }
}

async fn both_ways(
    name: &str,
    client: &PeerClient,
    clocks_differ: bool,
    serving: bool,
    report: &mut Report,
) {
    match client.reach().await {
        Ok(reach) if reach.reachable => {
            report.ok(AREA, format!("{name} takes our requests, and reaches us."));
        }
        Ok(reach) => {
            let why = reach.reason.unwrap_or_default();
            report.ok(AREA, format!("{name} takes our requests."));
            let what = format!("{name} does not reach us: {why}");
            if !serving {
                report.warn(AREA, what, "Start this app, and look again.");
            } else if why.contains("401") {
                report.fail(AREA, what, "Something else than this app, or one with other secrets, answers at the URL that the peer has in PEERS for this app; correct it there.");
            } else {
                report.fail(AREA, what, "Correct the URL of this app in PEERS of the peer, or the firewall or proxy before this app.");
            }
        }
        Err(Unreached::Signature) if clocks_differ => {
            let what = format!("{name} refuses our requests (401), as the clocks differ.");
            report.fail(AREA, what, "Set the clocks; then look again.");
        }
        Err(Unreached::Signature) => report.fail(
            AREA,
            format!("{name} refuses our requests (401)."),
            "Give both apps the same RELAY_SECRET, and have the peer name this app, by its APP_NAME, in its PEERS; restart what you have changed.",
        ),
        Err(Unreached::Unknown) => report.warn(
            AREA,
            format!("{name} is of a release that does not tell whether it reaches us."),
            "Update the peer.",
        ),
        Err(Unreached::Failed(why)) => report.fail(
            AREA,
            format!("{name} does not say whether it reaches us: {why}"),
            "Look at the log of the peer.",
        ),
    }
}

/// The seconds since 1970 of a header `Date`.
fn seconds(date: &str) -> Option<i64> {
    // Of old, the zone of HTTP is called GMT (RFC 9110 §5.6.7).
    let date = date.replace("GMT", "+0000");
    DateTimeParser::new().parse_timestamp(&date).ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn the_clock_of_a_peer_is_read_from_its_answers_and_judged() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("yesterday"), None);
        for (skew, state) in [(0, State::Ok), (-30, State::Warning), (300, State::Failure)] {
            let mut report = Report::default();
            clocks("app-b", skew, &mut report);
            assert_eq!(report.lines[0].state, state, "{skew}");
        }
    }
}
