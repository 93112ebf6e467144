//! What is in effect, and where each value comes from.

use reqwest::Url;
use serde::Serialize;

use super::table::{PER_PEER, Preset, Variable, variables};
use super::{Reader, Source};
use crate::settings::Setting;

/// What stands in the place of a secret.
const REDACTED: &str = "[secret]";

/// The value of one variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Its name, without the prefix of an app.
    pub name: String,
    /// Its value, `None` if there is none; a secret is redacted.
    pub value: Option<String>,
    /// Where that comes from: `environment`, `.env`, `file` or `default`.
    pub source: &'static str,
    /// The variable that has been read, with its prefix, or the path of the file; `None` for a default.
    pub from: Option<String>,
}

/// All variables in the order of the table, then the defaults of runtime settings.
pub(super) fn of(reader: &Reader<'_>) -> Vec<Effective> {
    let own = variables().map(|variable| one(reader, variable));
    let peers = reader.environment.secrets_of_peers().into_iter();
    let peers = peers.map(|peer| given(reader, &format!("{PER_PEER}{peer}"), |_| REDACTED.into()));
    let settings = Setting::ALL.iter().map(|&setting| {
        let definition = setting.definition();
        let default = setting.show(definition.default).to_string();
        given(reader, definition.name, str::to_owned).unwrap_or_else(|| Effective {
            name: definition.name.to_owned(),
            value: Some(default),
            source: "default",
            from: None,
        })
    });
    own.chain(peers.flatten()).chain(settings).collect()
}

fn one(reader: &Reader<'_>, variable: &Variable) -> Effective {
    let shown = |value: &str| if variable.secret { redacted(value) } else { value.to_owned() };
    given(reader, variable.name, shown).unwrap_or_else(|| {
        let computed = reader.computed.iter().find(|(name, _)| *name == variable.name);
        let value = match (computed, variable.preset) {
            (Some((_, value)), _) => Some(shown(value)),
            (None, Preset::Value(value)) => Some(value.to_owned()),
            (None, _) => None,
        };
        Effective { name: variable.name.to_owned(), value, source: "default", from: None }
    })
}

fn given(reader: &Reader<'_>, name: &str, shown: impl FnOnce(&str) -> String) -> Option<Effective> {
    let value = Some(shown(reader.text(name)?));
    let (source, from) = match reader.environment.source(name)? {
        Source::Process(variable) => ("environment", variable.clone()),
        Source::DotEnv(variable) => (".env", variable.clone()),
        Source::File(path) => ("file", path.display().to_string()),
    };
    Some(Effective { name: name.to_owned(), value, source, from: Some(from) })
}

/// Of a URL that may hold a password, scheme, user, host and path; of anything else, nothing.
fn redacted(value: &str) -> String {
    // A file has no password, and no parser of URLs knows what to make of it.
    if let Some(path) = value.strip_prefix("sqlite:") {
        return format!("sqlite:{}", path.split('?').next().unwrap_or_default());
    }
    let Ok(mut url) = value.parse::<Url>() else { return REDACTED.to_owned() };
    let plain = matches!(url.scheme(), "postgres" | "postgresql" | "redis" | "rediss");
    let hidden = url.password().is_none() || url.set_password(Some("…")).is_ok();
    if !plain || !url.has_host() || !hidden {
        return REDACTED.to_owned();
    }
    // The parameters of a connection may be secrets, too.
    url.set_query(None);
    url.set_fragment(None);
    url.to_string().replace("%E2%80%A6", "…")
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn of_a_secret_nothing_is_shown_and_of_a_url_all_but_its_password() {
        for (value, shown) in [
            ("sqlite://data/app-a.db", "sqlite://data/app-a.db"),
            ("postgres://anna:hush@db/one?password=hush", "postgres://anna:…@db/one"),
            ("redis://:hush@cache:6379/1", "redis://:…@cache:6379/1"),
            ("redis://cache", "redis://cache"),
            ("mysql://anna:hush@db/one", "[secret]"),
            ("hush:hush", "[secret]"),
            ("hush", "[secret]"),
        ] {
            assert_eq!(redacted(value), shown);
        }
    }
}
