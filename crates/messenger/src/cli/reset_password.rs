use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use shared::time::Clock;

use super::create_admin::explain;
use super::password::password;
use super::{block_on, print};
use crate::accounts::{self, Reset};
use crate::app::App;
use crate::config::Config;
use crate::db::Db;

/// Whose password is to be another one.
#[derive(Args)]
pub struct ResetPassword {
    /// The name of a user of this app.
    #[arg(long)]
    username: String,
    /// Read the new password from this file instead of from standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

/// Sets a new password in the app's database, whether the app runs or not.
pub fn run(config: &Config, wanted: &ResetPassword) -> ExitCode {
    block_on(config, async {
        let Reset { profile, sessions } = reset(config, wanted).await?;
        let address = profile.card.address().to_string();
        Ok(print(&if wanted.json {
            format!(
                "{}\n",
                json!({ "id": profile.card.id, "address": address, "sessions_ended": sessions })
            )
        } else {
            format!("{address} has a new password; {sessions} sessions are ended\n")
        }))
    })
}

async fn reset(config: &Config, wanted: &ResetPassword) -> Result<Reset, String> {
    let db = Db::open(config.database_url.expose()).await;
    let db = db.map_err(|error| format!("the database cannot be used: {error}"))?;
    let app = App::new(config, db.clone(), Clock::system()).await;
    let app = app.map_err(|error| error.to_string())?;
    let there = accounts::exists(&app, &wanted.username).await.map_err(|p| explain(&p))?;
    if !there {
        return Err(format!("there is no user {}", wanted.username));
    }
    let new = password(wanted.password_file.as_deref())?;
    let done = accounts::reset_password(&app, &wanted.username, new.to_string()).await;
    db.close().await;
    done.map_err(|problem| explain(&problem))
}
