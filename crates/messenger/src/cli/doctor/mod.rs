//! What is wrong, and what to do about it: a file for each area that is looked at.

mod certificates;
mod database;
mod disk;
mod peers;
mod redis;
mod server;

use std::fmt::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use super::{block_on, print};
use crate::config::{Config, Defaults, Environment, Examined, Level};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and may not as it is meant.
    Warning,
    /// It does not work.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    area: &'static str,
    state: State,
    /// What was found.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// What was found in one area after the other.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

impl Report {
    fn ok(&mut self, area: &'static str, message: impl Into<String>) {
        self.lines.push(Line { area, state: State::Ok, message: message.into(), remedy: None });
    }

    fn warn(&mut self, area: &'static str, message: impl Into<String>, remedy: &str) {
        let (message, remedy) = (message.into(), Some(remedy.to_owned()));
        self.lines.push(Line { area, state: State::Warning, message, remedy });
    }

    fn fail(&mut self, area: &'static str, message: impl Into<String>, remedy: &str) {
        let (message, remedy) = (message.into(), Some(remedy.to_owned()));
        self.lines.push(Line { area, state: State::Failure, message, remedy });
    }

    fn count(&self, state: State) -> usize {
        self.lines.iter().filter(|line| line.state == state).count()
    }
}

/// Looks at everything, changes nothing, and says what it has found.
pub fn run(defaults: Defaults, as_json: bool) -> ExitCode {
    let Examined { config, findings, .. } =
        Config::examine(&Environment::load(defaults.app), defaults);
    let mut report = Report::default();
    let area = "settings";
    for finding in findings {
        match finding.level {
            Level::Error => report.fail(
                area,
                finding.message,
                "Correct it; docs/CONFIGURATION.md explains every variable.",
            ),
            Level::Warning => report.warn(
                area,
                finding.message,
                "If it is meant so, nothing; docs/CONFIGURATION.md explains every variable.",
            ),
        }
    }
    let Some(config) = config else { return tell(defaults.app, &report, as_json) };
    if report.lines.is_empty() {
        report.ok(area, "The settings are sound.");
    }
    block_on(&config, async {
        disk::look(&config, &mut report);
        database::look(&config, &mut report).await;
        certificates::look(&config, &mut report);
        let serving = server::look(&config, &mut report).await;
        redis::look(&config, &mut report).await;
        peers::look(&config, serving, &mut report).await;
        Ok(tell(defaults.app, &report, as_json))
    })
}

fn tell(app: &str, report: &Report, as_json: bool) -> ExitCode {
    let (failures, warnings) = (report.count(State::Failure), report.count(State::Warning));
    let text = if as_json {
        let ok = failures == 0;
        format!("{:#}\n", json!({ "app": app, "ok": ok, "checks": report.lines }))
    } else {
        let mut text = String::new();
        for Line { area, state, message, remedy } in &report.lines {
            let state = match state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Failure => "FAILURE",
            };
            let _ = writeln!(text, "{state:7}  {area:9}  {message}");
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "{:18}  → {remedy}", "");
            }
        }
        let _ = writeln!(text, "{app}: {failures} failures, {warnings} warnings");
        text
    };
    let printed = print(&text);
    if failures > 0 { ExitCode::FAILURE } else { printed }
}
