use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The app does not start.
    Error,
    /// The app starts, and something may not be as it is meant.
    Warning,
}

/// Something about the settings that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The variable that is best looked at first.
    pub variable: String,
    /// A sentence or two that name it; they hold no value that may be a secret.
    pub message: String,
}

impl Finding {
    pub(super) fn error(variable: &str, message: String) -> Self {
        Self { level: Level::Error, variable: variable.to_owned(), message }
    }

    pub(super) fn warning(variable: &str, message: String) -> Self {
        Self { level: Level::Warning, variable: variable.to_owned(), message }
    }
}

/// Everything that is wrong with the settings, one sentence each; no sentence holds a value that may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);
