use std::process::ExitCode;

use serde_json::json;

use super::{block_on, print};
use crate::config::Config;
use crate::db::{self, Db, Inspection};

/// Brings the schema up to date, as a start does; with `check`, only says whether it is: exit code 1 if not.
pub fn run(config: &Config, check: bool, as_json: bool) -> ExitCode {
    block_on(config, async {
        let url = config.database_url.expose();
        let failed = |error: db::Error| format!("the database cannot be used: {error}");
        let before = db::inspect(url).await.map_err(failed)?;
        if before.newer {
            return Err("the database has been used by a newer release; use that one".to_owned());
        }
        if !check {
            Db::open(url).await.map_err(failed)?.close().await;
        }
        let printed = print(&report(&before, check, as_json));
        Ok(if check && !before.pending.is_empty() { ExitCode::FAILURE } else { printed })
    })
}

fn report(before: &Inspection, check: bool, as_json: bool) -> String {
    let pending = &before.pending;
    if as_json {
        let which = if check { "pending" } else { "applied" };
        return format!("{}\n", json!({ "current": !check || pending.is_empty(), which: pending }));
    }
    if pending.is_empty() {
        return "the schema is up to date\n".to_owned();
    }
    let (verb, list) = (if check { "missing" } else { "applied" }, pending.join(", "));
    format!("{verb}: {list}\n")
}
