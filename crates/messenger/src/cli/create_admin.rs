use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use shared::models::Profile;
use shared::time::Clock;

use super::password::password;
use crate::accounts;
use crate::app::App;
use crate::config::Config;
use crate::db::Db;

/// Whom to make an admin.
#[derive(Args)]
pub struct CreateAdmin {
    /// The admin's name; unlike other people's it may be a reserved one, such as admin.
    #[arg(long)]
    username: String,
    /// The admin's e-mail address; needed for a new account.
    #[arg(long)]
    email: Option<String>,
    /// Read the password of a new account from this file instead of from standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Make an admin of the user of this name, who keeps their password.
    #[arg(long)]
    promote: bool,
    /// Print the admin as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes an admin in the app's database, whether the app runs or not.
pub fn run(config: &Config, wanted: &CreateAdmin) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(config, &error.to_string()),
    };
    match runtime.block_on(create(config, wanted)) {
        Ok((profile, promoted)) => report(&profile, promoted, wanted.json),
        Err(why) => failed(config, &why),
    }
}

fn failed(config: &Config, why: &str) -> ExitCode {
    eprintln!("{}: {why}", config.app);
    ExitCode::FAILURE
}

async fn create(config: &Config, wanted: &CreateAdmin) -> Result<(Profile, bool), String> {
    let db = Db::open(config.database_url.expose()).await;
    let db = db.map_err(|error| format!("the database cannot be used: {error}"))?;
    let app = App::new(config, db.clone(), Clock::system()).await;
    let app = app.map_err(|error| error.to_string())?;
    let exists = accounts::exists(&app, &wanted.username).await.map_err(|p| explain(&p))?;
    let done = match (exists, wanted.promote) {
        (true, true) => accounts::promote(&app, &wanted.username).await,
        (true, false) => {
            let name = &wanted.username;
            return Err(format!("there is a user {name} already; --promote makes them an admin"));
        }
        (false, true) => return Err(format!("there is no user {}", wanted.username)),
        (false, false) => {
            let email = wanted.email.as_deref().ok_or("a new account needs --email")?;
            let password = password(wanted.password_file.as_deref())?;
            accounts::create_admin(&app, &wanted.username, email, password.to_string()).await
        }
    };
    db.close().await;
    done.map(|profile| (profile, exists)).map_err(|problem| explain(&problem))
}

/// What is wrong, with what is wrong about each field.
pub(super) fn explain(problem: &shared::problem::Problem) -> String {
    let document: serde_json::Value =
        serde_json::from_slice(&problem.document(None, None)).unwrap_or_default();
    let fields = document["errors"].as_object().into_iter().flatten().map(|(field, messages)| {
        let messages: Vec<_> =
            messages.as_array().into_iter().flatten().filter_map(|m| m.as_str()).collect();
        format!("{field}: {}", messages.join(" "))
    });
    let fields: Vec<_> = fields.collect();
    if fields.is_empty() { problem.detail().to_owned() } else { fields.join("\n") }
}

fn report(profile: &Profile, promoted: bool, as_json: bool) -> ExitCode {
    let card = &profile.card;
    let text = if as_json {
        json!({
            "id": card.id, "username": card.username, "address": card.address(),
            "email": profile.email, "role": profile.role, "promoted": promoted,
        })
        .to_string()
    } else {
        let done = if promoted { "is an admin now" } else { "is there, an admin" };
        format!("{} {done}", card.address())
    };
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
