use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use shared::encryption::KeyId;

use super::ring::Ring;
use crate::config::Config;
use crate::db::Db;
use crate::keys::{self, Usage};

/// One key, as it is shown.
#[derive(Serialize)]
struct Line {
    key: KeyId,
    /// From 1, the one that seals; absent for a name that no key of the ring has.
    position: Option<usize>,
    in_use: bool,
    #[serde(flatten)]
    usage: Usage,
    /// Whether each peer holds it; null where it cannot be asked.
    peers: BTreeMap<String, Option<bool>>,
}

/// Shows the keys of the ring, and what else bears the name of a key.
pub async fn list(config: &Config, json: bool) -> Result<String, String> {
    let ring = Ring::of(config).ids()?;
    let database = |error: crate::db::Error| format!("the database cannot be used: {error}");
    let db = Db::open(config.database_url.expose()).await.map_err(database)?;
    let mut conn = db.read().await.map_err(database)?;
    let mut usage = keys::usage(&mut conn, &ring).await.map_err(database)?;
    drop(conn);
    db.close().await;
    let answers = keys::ask_peers(config).await;
    let mut lines = Vec::new();
    let mut line = |key: KeyId, position: Option<usize>, usage: Usage| {
        let holds = answers.iter().map(|answer| {
            let holds = answer.keys.as_ref().ok().map(|keys| keys.ring.contains(&key));
            (answer.peer.to_string(), holds)
        });
        lines.push(Line { key, position, in_use: !usage.is_none(), usage, peers: holds.collect() });
    };
    for (key, position) in ring.iter().zip(1..) {
        line(*key, Some(position), usage.remove(key).unwrap_or_default());
    }
    for (key, usage) in usage {
        line(key, None, usage);
    }
    if json {
        return serde_json::to_string(&lines)
            .map(|text| format!("{text}\n"))
            .map_err(|error| error.to_string());
    }
    let mut text = String::new();
    for line in &lines {
        let place = match line.position {
            Some(1) => "1, seals".to_owned(),
            Some(position) => format!("{position}, opens"),
            None => "not held".to_owned(),
        };
        let _ = write!(text, "{}  {place:9}  {}", line.key, line.usage.describe());
        for (peer, holds) in &line.peers {
            let holds = match holds {
                Some(true) => "holds it",
                Some(false) => "does not hold it",
                None => "cannot be asked",
            };
            let _ = write!(text, "; {peer} {holds}");
        }
        text.push('\n');
    }
    Ok(text)
}
