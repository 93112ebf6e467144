use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use super::{opened, print};
use crate::config::Config;
use crate::peers::{PeerView, views};

/// Tells how the app fares with each peer, by what its database knows of it.
pub fn run(config: &Config, as_json: bool) -> ExitCode {
    opened(config, async |app| {
        let peers = views(&app).await?;
        let text = if as_json { format!("{:#}\n", json!(peers)) } else { words(&peers) };
        Ok(print(&text))
    })
}

fn words(peers: &[PeerView]) -> String {
    let mut text = String::new();
    for peer in peers {
        let state = if peer.up { "up" } else { "not reached" };
        let _ = writeln!(text, "{}  {state}  {}", peer.name, peer.url);
        if let Some(at) = peer.last_seen_at {
            let _ = writeln!(text, "  last reached at {at}");
        }
        let oldest = peer.oldest_waiting_at.map(|at| format!(", the oldest of {at}"));
        let _ = writeln!(text, "  {} wait{}", peer.waiting, oldest.unwrap_or_default());
        if peer.failed > 0 {
            let _ = writeln!(text, "  {} have failed", peer.failed);
        }
        if let Some(error) = &peer.last_error {
            let _ =
                writeln!(text, "  last error at {}: {}. {}", error.at, error.code, error.detail);
        }
    }
    text
}
