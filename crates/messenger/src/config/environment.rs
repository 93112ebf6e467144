use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Source, VARIABLES, capitals};
use crate::settings::TABLE;

/// The variables that count for one app: those of the process, then those of a `.env` file, with the app's own
/// prefix before the plain name, and secrets read from their files.
#[derive(Debug)]
pub struct Environment {
    vars: BTreeMap<String, String>,
    prefix: String,
    /// The names that stand in `.env` and not in the process.
    dot_env: BTreeSet<String>,
    complaints: Vec<String>,
}

impl Environment {
    /// The variables of this process and of `.env` in the working folder; the process wins.
    pub fn load(app: &str) -> Result<Self, dotenvy::Error> {
        let mut vars = Vec::new();
        if Path::new(".env").exists() {
            for pair in dotenvy::from_path_iter(".env")? {
                vars.push(pair?);
            }
        }
        let mut dot_env: BTreeSet<String> = vars.iter().map(|(name, _)| name.clone()).collect();
        let process: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        for (name, _) in &process {
            dot_env.remove(name);
        }
        vars.extend(process);
        Ok(Self { dot_env, ..Self::new(vars, app) })
    }

    /// These variables, a later one before an earlier one of the same name. An empty one counts as not set.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>, app: &str) -> Self {
        let vars: BTreeMap<_, _> = vars.into_iter().collect();
        let prefix = format!("{}_", capitals(app));
        let (dot_env, complaints) = (BTreeSet::new(), Vec::new());
        let mut environment = Self { vars, prefix, dot_env, complaints };
        environment.vars.retain(|_, value| !value.trim().is_empty());
        environment.read_files();
        environment.find_unknown();
        environment
    }

    /// The value of a variable, without white space around it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let own = self.vars.get(&format!("{}{name}", self.prefix));
        own.or_else(|| self.vars.get(name)).map(|value| value.trim())
    }

    /// Where the value of a variable comes from, if it has one.
    pub(super) fn source(&self, name: &str) -> Option<Source> {
        let names = [format!("{}{name}", self.prefix), name.to_owned()];
        let name = names.into_iter().find(|name| self.vars.contains_key(name))?;
        if let Some(path) = self.vars.get(&format!("{name}_FILE")) {
            return Some(Source::File(path.trim().into()));
        }
        let in_file = self.dot_env.contains(&name);
        Some(if in_file { Source::DotEnv(name) } else { Source::Process(name) })
    }

    /// What is wrong with the names and files themselves.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.clone()
    }

    fn read_files(&mut self) {
        for (name, path) in self.vars.clone() {
            let Some(variable) = name.strip_suffix("_FILE").filter(|name| self.is_secret(name))
            else {
                continue;
            };
            if self.vars.contains_key(variable) {
                self.complaints.push(format!("{variable} and {name} are both set; keep one."));
                continue;
            }
            match std::fs::read_to_string(path.trim()) {
                Ok(text) => {
                    self.vars.insert(variable.to_owned(), text);
                }
                Err(error) => {
                    self.complaints.push(format!("{name}: the file cannot be read: {error}"));
                }
            }
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        let plain = name.strip_prefix(&self.prefix).unwrap_or(name);
        let known = VARIABLES.iter().any(|variable| variable.secret && variable.name == plain);
        known || plain.starts_with("RELAY_SECRET_")
    }

    /// A variable with this app's prefix that no app reads is a misspelling.
    fn find_unknown(&mut self) {
        for name in self.vars.keys() {
            let Some(plain) = name.strip_prefix(&self.prefix) else { continue };
            let base = plain.strip_suffix("_FILE").unwrap_or(plain);
            let known = VARIABLES.iter().any(|v| v.name == plain || (v.secret && v.name == base));
            let known = known || TABLE.iter().any(|setting| setting.name == plain);
            if known || base.starts_with("RELAY_SECRET_") {
                continue;
            }
            let names = VARIABLES.iter().map(|variable| variable.name);
            let names = names.chain(TABLE.iter().map(|setting| setting.name));
            let nearest = names.min_by_key(|name| strsim::levenshtein(name, plain));
            let hint = nearest.unwrap_or_default();
            self.complaints
                .push(format!("{name} is not known; did you mean {}{hint}?", self.prefix));
        }
    }
}
