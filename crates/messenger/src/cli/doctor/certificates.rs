//! Until when the certificates are good.

use shared::time::{Clock, Timestamp};

use super::Report;
use crate::config::Config;
use crate::tls::{Expiry, Urgency};

const AREA: &str = "tls";

/// Looks at the certificates that this app shows: to those who connect, and to its peers.
pub(super) fn look(config: &Config, report: &mut Report) {
    let shown =
        [("TLS_CERT_FILE", &config.tls.server), ("PEER_CLIENT_CERT_FILE", &config.tls.peer_client)];
    for (variable, identity) in shown {
        let Some(identity) = identity else { continue };
        match Expiry::of_file(&identity.certificate) {
            Ok(expiry) => judge(
                AREA,
                &format!("The certificate of {variable}"),
                expiry,
                Clock::system().wall(),
                "Renew it, and put the new one into the same files; the app reads it anew by itself.",
                report,
            ),
            Err(error) => {
                let what = format!("{variable}: {error}");
                report.fail(AREA, what, "Mend the file, or the setting that names it.");
            }
        }
    }
}

/// Says of a certificate how long it is still good.
pub(super) fn judge(
    area: &'static str,
    what: &str,
    expiry: Expiry,
    now: Timestamp,
    remedy: &str,
    report: &mut Report,
) {
    match expiry.urgency(now) {
        Urgency::None => {
            let days = expiry.days_left(now);
            report.ok(area, format!("{what} is good for {days} days, until {expiry}."));
        }
        Urgency::Soon(days) => {
            let what = format!("{what} is good for no more than {days} days, until {expiry}.");
            report.warn(area, what, remedy);
        }
        Urgency::Over => report.fail(area, format!("{what} has expired, on {expiry}."), remedy),
    }
}
