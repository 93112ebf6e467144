use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::table::{Preset, named};
use super::{Environment, Finding};

/// Reads the variables one by one, and keeps what is wrong with them. The files beside this one add the readers of
/// their subjects.
pub(super) struct Reader<'a> {
    pub environment: &'a Environment,
    pub findings: Vec<Finding>,
    /// What holds where a variable is not set, if the table does not know: it depends on the binary or on others.
    pub computed: Vec<(&'static str, String)>,
}

impl<'a> Reader<'a> {
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, findings: environment.findings(), computed: Vec::new() }
    }

    /// What is set, if anything.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name)
    }

    /// What is set, or else the value of the table.
    pub fn text_or_preset(&self, name: &str) -> &'a str {
        let preset = match named(name).map(|variable| variable.preset) {
            Some(Preset::Value(value)) => value,
            _ => "",
        };
        self.text(name).unwrap_or(preset)
    }

    /// What is set, or else this, which is what `config print` shows then.
    pub fn text_or(&mut self, name: &'static str, otherwise: String) -> String {
        let text = self.text(name).map_or_else(|| otherwise.clone(), str::to_owned);
        self.computed.push((name, otherwise));
        text
    }

    /// What is set or else the value of the table, as what it means.
    pub fn parse<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text_or_preset(name);
        self.understand(name, text)
    }

    /// A text as what it means.
    pub fn understand<T: FromStr<Err: Display>>(&mut self, name: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, format!("{name} is not valid: {error}"));
                None
            }
        }
    }

    /// A number of seconds, `least` or more.
    pub fn seconds(&mut self, name: &str, least: u32) -> Duration {
        let seconds: u32 = self.parse(name).unwrap_or(least);
        if seconds < least {
            self.wrong(name, format!("{name} must be {least} or more."));
        }
        Duration::from_secs(seconds.into())
    }

    /// Something with which the app does not start. The message names the variable and holds no secret.
    pub fn wrong(&mut self, variable: &str, message: impl Into<String>) {
        self.findings.push(Finding::error(variable, message.into()));
    }

    /// Something that the operator should know. The message names the variable and holds no secret.
    pub fn warn(&mut self, variable: &str, message: impl Into<String>) {
        self.findings.push(Finding::warning(variable, message.into()));
    }
}
