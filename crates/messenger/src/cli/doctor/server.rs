//! Whether this app serves, here and at its public address.

use std::time::Duration;

use reqwest::redirect::Policy;
use serde_json::Value;

use super::Report;
use crate::config::Config;

const AREA: &str = "server";
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the app at its own address and at its public one who it is; says whether it serves.
pub(super) async fn look(config: &Config, report: &mut Report) -> bool {
    let serving = tokio::net::TcpStream::connect(loopback(config)).await.is_ok();
    if serving {
        report.ok(AREA, format!("Something listens on {}.", config.bind));
    } else {
        let what = format!("Nothing listens on {}.", config.bind);
        report.warn(AREA, what, "Start the app, unless it is stopped on purpose.");
    }
    let Some(url) = &config.public_url else { return serving };
    let remedy = "Check the name in the DNS, the proxy and its certificate, and that PUBLIC_URL is what clients use.";
    match name_at(url).await {
        Ok(name) if name == config.app.as_str() => {
            report.ok(AREA, format!("{url} is this app."));
        }
        Ok(name) => {
            report.fail(AREA, format!("{url} is another app, {name}."), remedy);
        }
        Err(why) if serving => report.fail(AREA, format!("{url} is not reached: {why}"), remedy),
        Err(why) => report.warn(AREA, format!("{url} is not reached: {why}"), remedy),
    }
    serving
}

fn loopback(config: &Config) -> std::net::SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let mut address = config.bind;
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

async fn name_at(url: &str) -> Result<String, String> {
    crate::tls::choose_ciphers();
    let client = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE);
    let client = client.build().map_err(|error| error.to_string())?;
    let response = client.get(format!("{url}/api/about/")).send().await;
    let response = response.map_err(|error| crate::relay::causes(&error))?;
    let status = response.status();
    let about: Option<Value> = response.json().await.ok();
    let name = about.as_ref().and_then(|about| about["name"].as_str());
    name.map(str::to_owned).ok_or_else(|| format!("it answers {status} and not as an app does"))
}
