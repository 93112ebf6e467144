use std::fmt::Write;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use shared::address::AppName;
use shared::id::MessageId;
use shared::problem::Problem;

use super::{opened, print};
use crate::app::App;
use crate::config::Config;
use crate::outbox::{self, EntryState, Filter, Retried, Selection};
use crate::relay::Waits;

/// What to do with the outbox.
#[derive(Subcommand)]
pub enum OutboxCommand {
    /// Count what waits and what has failed, for each peer.
    Stats {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// List what waits and what has failed, the oldest first.
    List {
        /// For this peer alone.
        #[arg(long)]
        peer: Option<AppName>,
        /// What has failed alone.
        #[arg(long)]
        failed: bool,
        /// Entries, at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Send messages again that have failed.
    Retry {
        /// Those that have failed for this peer alone.
        #[arg(long)]
        peer: Option<AppName>,
        /// This message alone.
        #[arg(long)]
        message: Option<MessageId>,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Give up everything that waits for a peer: new messages become failed, and `retry` sends them again.
    Drop {
        /// The peer, which PEERS need not name any more.
        #[arg(long)]
        peer: AppName,
        /// Do it. Without this, only the number of what waits is told.
        #[arg(long)]
        yes: bool,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

/// Does what is wanted, whether the app runs or not.
pub fn run(config: &Config, command: &OutboxCommand) -> ExitCode {
    opened(config, async |app| {
        let (document, words, as_json) = match command {
            OutboxCommand::Stats { json } => with(stats(&app).await?, *json),
            OutboxCommand::List { peer, failed, limit, json } => {
                let state = failed.then_some(EntryState::Failed);
                let filter = Filter { peer: peer.clone(), state, newest_first: false };
                with(list(&app, &filter, (*limit).into()).await?, *json)
            }
            OutboxCommand::Retry { peer, message, json } => {
                let selection =
                    Selection { peer: peer.clone(), message: *message, ..Selection::default() };
                with(retry(&app, &selection).await?, *json)
            }
            OutboxCommand::Drop { peer, yes, json } => {
                with(give_up(&app, peer, *yes).await?, *json)
            }
        };
        Ok(print(&if as_json { format!("{document:#}\n") } else { words }))
    })
}

fn with((document, words): (Value, String), as_json: bool) -> (Value, String, bool) {
    (document, words, as_json)
}

async fn stats(app: &App) -> Result<(Value, String), Problem> {
    let depths = outbox::depths(&mut app.db.read().await?).await?;
    let mut depths: Vec<_> = depths.into_iter().collect();
    depths.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut words = String::new();
    let mut documents = Vec::new();
    for (peer, depth) in depths {
        let oldest = depth.oldest_waiting_at;
        documents.push(json!({
            "peer": peer,
            "waiting": depth.waiting,
            "oldest_waiting_at": oldest,
            "failed": depth.failed,
        }));
        let oldest = oldest.map(|at| format!(", the oldest of {at}")).unwrap_or_default();
        let _ =
            writeln!(words, "{peer}: {} wait{oldest}; {} have failed", depth.waiting, depth.failed);
    }
    if words.is_empty() {
        words.push_str("nothing waits, and nothing has failed\n");
    }
    Ok((Value::Array(documents), words))
}

async fn list(app: &App, filter: &Filter, limit: i64) -> Result<(Value, String), Problem> {
    let entries = outbox::entries(app, filter, limit).await?;
    let mut words = String::new();
    for entry in &entries {
        let (kind, state) = (json!(entry.kind), json!(entry.state));
        let (kind, state) = (kind.as_str().unwrap_or_default(), state.as_str().unwrap_or_default());
        let reason = entry.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let _ = writeln!(words, "{}  {}  {kind}  {state}{reason}", entry.id, entry.created_at);
    }
    Ok((json!(entries), words))
}

async fn retry(app: &App, selection: &Selection) -> Result<(Value, String), Problem> {
    let Retried { mut retried, mut left, mut peers } = outbox::retry(app, None, selection).await?;
    // It stops after a while, for the sake of requests; nobody waits here.
    while left > 0 {
        eprintln!("{retried} messages are queued again; {left} are left");
        let more = outbox::retry(app, None, selection).await?;
        retried += more.retried;
        (left, peers) = (more.left, more.peers);
    }
    let words = format!("{retried} messages are queued again\n");
    Ok((json!(Retried { retried, left, peers }), words))
}

async fn give_up(app: &App, peer: &AppName, yes: bool) -> Result<(Value, String), Problem> {
    if !yes {
        let depths = outbox::depths(&mut app.db.read().await?).await?;
        let waiting = depths.get(peer).map_or(0, |depth| depth.waiting);
        let words = format!("{waiting} wait for {peer}; --yes gives them up\n");
        return Ok((json!({ "waiting": waiting, "dropped": 0 }), words));
    }
    let dropped = outbox::drop_waiting(app, None, peer, Waits::AtAll).await?;
    Ok((json!({ "dropped": dropped }), format!("{dropped} were given up\n")))
}
