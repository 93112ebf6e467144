use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::print;
use crate::config::{
    Config, Defaults, Effective, Environment, Examined, Level, dot_env, reference,
};

/// What to do with the settings.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the reference of all variables, as docs/CONFIGURATION.md has it.
    Docs {
        /// Print a .env to fill in, as .env.example is one.
        #[arg(long)]
        env: bool,
    },
    /// Find what is wrong or odd about the settings; exit code 2 if the app would not start with them.
    Check {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show what is in effect and where each value comes from; secrets are redacted.
    Print {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

/// Reads the settings and does what is wanted with them.
pub fn run(defaults: Defaults, command: &ConfigCommand) -> ExitCode {
    if let ConfigCommand::Docs { env } = command {
        return print(&if *env { dot_env() } else { reference() });
    }
    let examined = Config::examine(&Environment::load(defaults.app), defaults);
    match command {
        ConfigCommand::Print { json } => show(&examined.effective, *json),
        ConfigCommand::Check { json } => report(defaults.app, &examined, *json),
        ConfigCommand::Docs { .. } => ExitCode::SUCCESS,
    }
}

fn report(app: &str, examined: &Examined, as_json: bool) -> ExitCode {
    let of = |level: Level| examined.findings.iter().filter(move |found| found.level == level);
    let sound = examined.config.is_some();
    let text = if as_json {
        let document = json!({
            "app": app,
            "ok": sound,
            "errors": of(Level::Error).collect::<Vec<_>>(),
            "warnings": of(Level::Warning).collect::<Vec<_>>(),
        });
        format!("{document:#}\n")
    } else {
        let errors = of(Level::Error).map(|found| format!("error: {}\n", found.message));
        let warnings = of(Level::Warning).map(|found| format!("warning: {}\n", found.message));
        let end =
            if sound { "the app starts with these settings" } else { "the app does not start" };
        let counts = (of(Level::Error).count(), of(Level::Warning).count());
        let last = format!("{app}: {} errors, {} warnings; {end}\n", counts.0, counts.1);
        errors.chain(warnings).chain([last]).collect()
    };
    let printed = print(&text);
    if sound { printed } else { ExitCode::from(2) }
}

fn show(effective: &[Effective], as_json: bool) -> ExitCode {
    if as_json {
        return print(&format!("{:#}\n", json!(effective)));
    }
    let names = effective.iter().map(|one| one.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Effective { name, value, source, from } in effective {
        let value = value.as_deref().unwrap_or("–");
        let from = from.as_ref().filter(|from| *from != name);
        let from = from.map(|from| format!(", {from}")).unwrap_or_default();
        let _ = writeln!(text, "{name:names$}  {value}  ({source}{from})");
    }
    print(&text)
}
