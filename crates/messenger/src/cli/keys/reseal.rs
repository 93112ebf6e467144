use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;
use shared::encryption::{FieldCipher, Keyring};

use crate::config::Config;
use crate::db::Db;
use crate::keys::{self, Progress};

/// How often it says how far it has come.
const TELLING: Duration = Duration::from_secs(2);

/// Seals everything that is stored with the first key, and says how far it has come.
pub async fn reseal(config: &Config, json: bool) -> Result<String, String> {
    let list = config.fernet_keys.expose();
    let keyring = Keyring::parse(list).map_err(|error| error.to_string())?;
    let fields = FieldCipher::parse(list).map_err(|error| error.to_string())?;
    let database = |error: crate::db::Error| {
        format!(
            "the database cannot be used: {error}; what is done is done, run it again for the rest"
        )
    };
    let db = Db::open(config.database_url.expose()).await.map_err(database)?;
    let mut told = Instant::now();
    let done = keys::reseal(&db, &keyring, &fields, |progress| {
        if told.elapsed() >= TELLING {
            told = Instant::now();
            // Whoever has closed the pipe does not want to know.
            let _ = write!(std::io::stdout(), "{}", line(progress, json, false));
        }
    });
    let done = done.await.map_err(database)?;
    db.close().await;
    Ok(line(&done, json, true))
}

fn line(progress: &Progress, json: bool, finished: bool) -> String {
    let Progress { messages, fields, answers, terms, unreadable } = *progress;
    if json {
        let line = json!({
            "messages": messages,
            "fields": fields,
            "answers": answers,
            "terms": terms,
            "unreadable": unreadable,
            "finished": finished,
        });
        return format!("{line}\n");
    }
    let end = if finished { "done" } else { "going on" };
    format!(
        "sealed anew: {messages} messages, {fields} fields, {answers} answers, {terms} search terms; \
         {unreadable} do not open; {end}\n"
    )
}
