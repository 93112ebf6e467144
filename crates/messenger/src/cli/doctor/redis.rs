//! Whether Redis is there, and what it does when it is full.

use std::time::Duration;

use super::Report;
use crate::config::Config;
use crate::redis::client;

const AREA: &str = "redis";
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at the Redis that the replicas share, if there is one.
pub(super) async fn look(config: &Config, report: &mut Report) {
    let Some(place) = &config.redis else { return };
    let client = match client(place) {
        Ok(client) => client,
        Err(error) => {
            report.fail(AREA, format!("{error}."), "Mend the file, or the setting that names it.");
            return;
        }
    };
    match tokio::time::timeout(PATIENCE, memory(client)).await {
        Ok(Ok(info)) => {
            let how = if place.is_encrypted() { "over TLS, verified" } else { "in the clear" };
            report.ok(AREA, format!("Redis is spoken to {how}."));
            judge(&info, report);
        }
        Ok(Err(error)) => away(&error.to_string(), report),
        Err(_) => away("no answer in time", report),
    }
}

fn away(why: &str, report: &mut Report) {
    let what = format!("Redis does not answer: {why}");
    let remedy = if why.contains("certificate") {
        "Name the authority of its certificate in REDIS_CA_FILE, and in REDIS_URL a host that the certificate names."
    } else {
        "Start it, or correct REDIS_URL. The app goes on without it meanwhile: each replica counts rate limits by itself."
    };
    report.fail(AREA, what, remedy);
}

async fn memory(client: redis::Client) -> redis::RedisResult<String> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("INFO").arg("memory").query_async(&mut connection).await
}

fn judge(info: &str, report: &mut Report) {
    let of = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let (policy, most) = (of("maxmemory_policy"), of("maxmemory").unwrap_or("0"));
    match (policy, most.trim()) {
        (Some("noeviction"), most) if most != "0" => report.warn(
            AREA,
            "Redis answers; when it is full, it takes nothing more (maxmemory-policy noeviction).",
            "Set maxmemory-policy volatile-ttl: everything that the app keeps there expires and may be lost.",
        ),
        (Some(policy), "0") => {
            report.ok(AREA, format!("Redis answers; it has no maxmemory (policy {policy})."));
        }
        (Some(policy), _) => report.ok(AREA, format!("Redis answers; its policy is {policy}.")),
        (None, _) => report.ok(AREA, "Redis answers; it does not tell its policy."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn a_redis_that_refuses_when_it_is_full_is_worth_a_warning() {
        for (info, state) in [
            ("maxmemory:0\r\nmaxmemory_policy:noeviction\r\n", State::Ok),
            ("maxmemory:9\r\nmaxmemory_policy:noeviction\r\n", State::Warning),
            ("maxmemory:9\r\nmaxmemory_policy:allkeys-lru\r\n", State::Ok),
            ("", State::Ok),
        ] {
            let mut report = Report::default();
            judge(info, &mut report);
            assert_eq!(report.lines[0].state, state, "{info}");
        }
    }
}
