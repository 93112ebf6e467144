use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::table::{PER_PEER, named};
use super::{Finding, Source, capitals, names};

/// The variables that count for one app: those of the process, then those of a `.env` file, with the app's own
/// prefix before the plain name, and secrets read from their files.
#[derive(Debug)]
pub struct Environment {
    vars: BTreeMap<String, Given>,
    prefix: String,
    findings: Vec<Finding>,
    unreadable: bool,
}

/// The value of a variable, and where it comes from.
struct Given {
    value: String,
    source: Source,
}

/// Values may be secrets.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl Environment {
    /// The variables of this process and of `.env` in the working folder; the process wins. A `.env` that cannot be
    /// read is one of the findings.
    pub fn load(app: &str) -> Self {
        let (mut vars, mut wrong) = (Vec::new(), None);
        if Path::new(".env").exists() {
            match dotenvy::from_path_iter(".env").and_then(Iterator::collect::<Result<Vec<_>, _>>) {
                Ok(pairs) => vars.extend(pairs.into_iter().map(|pair| given(pair, Source::DotEnv))),
                Err(error) => wrong = Some(about(&error)),
            }
        }
        let own = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        vars.extend(own.map(|pair| given(pair, Source::Process)));
        let mut environment = Self::of(vars, app);
        if let Some(why) = wrong {
            let why = format!("The file .env cannot be read: {why}");
            environment.findings = vec![Finding::error(".env", why)];
            environment.unreadable = true;
        }
        environment
    }

    /// These variables, a later one before an earlier one of the same name. An empty one counts as not set.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>, app: &str) -> Self {
        Self::of(vars.into_iter().map(|pair| given(pair, Source::Process)), app)
    }

    fn of(vars: impl IntoIterator<Item = (String, Given)>, app: &str) -> Self {
        let vars: BTreeMap<_, _> = vars.into_iter().collect();
        let prefix = format!("{}_", capitals(app));
        let mut environment = Self { vars, prefix, findings: Vec::new(), unreadable: false };
        environment.vars.retain(|_, given| !given.value.trim().is_empty());
        environment.read_files();
        let names = environment.vars.keys().map(String::as_str);
        environment.findings.extend(names::unknown(names, &environment.prefix));
        environment
    }

    /// The value of a variable, without white space around it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|given| given.value.trim())
    }

    /// Where the value of a variable comes from, if it has one.
    pub(super) fn source(&self, name: &str) -> Option<&Source> {
        self.find(name).map(|given| &given.source)
    }

    fn find(&self, name: &str) -> Option<&Given> {
        self.vars.get(&format!("{}{name}", self.prefix)).or_else(|| self.vars.get(name))
    }

    /// The peers, in capitals, that have a secret of their own.
    pub(super) fn secrets_of_peers<'a>(&'a self) -> Vec<&'a str> {
        let plain = |name: &'a String| name.strip_prefix(&self.prefix).unwrap_or(name);
        let names = self.vars.keys().filter_map(|name| plain(name).strip_prefix(PER_PEER));
        names.filter(|name| *name != "FILE" && !name.ends_with("_FILE")).collect()
    }

    /// Whether there is a `.env` that cannot be read, so that nothing can be said about what is set.
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// What is wrong with the names and files themselves.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.clone()
    }

    fn read_files(&mut self) {
        let files = self.vars.iter().filter_map(|(name, given)| {
            let variable = name.strip_suffix("_FILE").filter(|name| self.is_secret(name))?;
            Some((name.clone(), variable.to_owned(), given.value.trim().to_owned()))
        });
        for (name, variable, path) in files.collect::<Vec<_>>() {
            if self.vars.contains_key(&variable) {
                let both = format!("{variable} and {name} are both set; keep one.");
                self.findings.push(Finding::error(&variable, both));
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(value) if value.trim().is_empty() => {
                    self.findings
                        .push(Finding::error(&name, format!("{name}: the file is empty.")));
                }
                Ok(value) => {
                    let given = Given { value, source: Source::File(path.into()) };
                    self.vars.insert(variable, given);
                }
                Err(error) => {
                    let why = format!("{name}: the file cannot be read: {error}");
                    self.findings.push(Finding::error(&name, why));
                }
            }
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        let plain = name.strip_prefix(&self.prefix).unwrap_or(name);
        named(plain).is_some_and(|variable| variable.secret) || plain.starts_with(PER_PEER)
    }
}

fn given((name, value): (String, String), source: fn(String) -> Source) -> (String, Given) {
    (name.clone(), Given { value, source: source(name) })
}

/// What is wrong with the file, without the line itself, which may hold a secret.
fn about(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(_, index) => {
            format!("a line is not NAME=value, near character {index}")
        }
        other => other.to_string(),
    }
}
