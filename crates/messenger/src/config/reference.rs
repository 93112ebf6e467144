//! The reference of all variables, made from the tables that the code reads by: `docs/CONFIGURATION.md` and
//! `.env.example`.

use std::fmt::Write;

use super::table::{Preset, VARIABLES, Variable};
use crate::settings::{Definition, Kind, Setting};

const INTRODUCTION: &str = "\
# Configuration

<!-- `make reference` writes this file from the code. -->

Every variable that an app reads, as `app-a config docs` prints it.

- Variables come from the environment and from a file `.env` in the working folder; the environment comes first. An
  empty value counts as not set.
- A name with `APP_A_` before it counts for AppA alone, one with `APP_B_` for AppB alone, and either comes before the plain
  name. So one file serves both. The prefix belongs to the binary, whatever `APP_NAME` says.
- A secret can also come from a file: `FERNET_KEYS_FILE=/run/secrets/fernet_keys`, and so on. `RELAY_SECRET_APP_B`, the
  secret of one peer, is a secret too.
- `app-a config check` finds what is wrong, what contradicts what, and names that no app reads; `app-a config print` shows
  what is in effect and where each value comes from. [OPERATIONS.md](OPERATIONS.md#command-line) has both.
";

const RUNTIME: &str = "\
Admins change these while the app runs; what they have set comes before the environment, which may set another default.
[OPERATIONS.md](OPERATIONS.md#runtime-settings) explains them.
";

const DOT_ENV: &str = "\
# Every setting of AppA and AppB. `make run` makes a .env with fresh secrets by itself; to write one by hand, copy
# this file to .env and fill in the four that are required. An empty value counts as not set.
#
# Both apps read the same file. A name with APP_A_ before it counts for AppA alone, one with APP_B_ for AppB alone,
# and either comes before the plain name. Variables of the process come before those of this file.
#
# A secret can also come from a file: FERNET_KEYS_FILE=/run/secrets/fernet_keys, and so on. `app-a keygen` prints one
# fresh secret, `app-a keygen --env` a whole .env, and `app-a config check` what is wrong with it.
#
# `make reference` writes this file from the code.
";

const DOT_ENV_RUNTIME: &str = "\
# Defaults of the runtime settings, which admins change while the app runs; docs/OPERATIONS.md explains them. A rate
# limit of 0 is none.
";

/// Characters of a line of a comment in `.env.example`, at most.
const WIDTH: usize = 118;

/// The reference in Markdown.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in VARIABLES {
        let heading = "| Name | Default | Meaning |\n|---|---|---|";
        let _ = write!(text, "\n## {}\n\n{heading}\n", section.title);
        for variable in section.variables {
            let (name, about) = (names(variable), about(variable));
            let _ = writeln!(text, "| {name} | {} | {about} |", default(variable.preset));
        }
    }
    let heading = "| Name | Default | From, to | Meaning |\n|---|--:|---|---|";
    let _ = write!(text, "\n## Defaults of runtime settings\n\n{RUNTIME}\n{heading}\n");
    for &setting in Setting::ALL {
        let Definition { name, kind, about, default } = *setting.definition();
        let default = setting.show(default);
        let bounds = match kind {
            Kind::Number(least, most) => format!("{least}, {most}"),
            Kind::Switch => "true, false".to_owned(),
        };
        let _ = writeln!(text, "| `{name}` | {default} | {bounds} | {about} |");
    }
    text
}

fn names(variable: &Variable) -> String {
    let name = variable.name;
    if variable.secret { format!("`{name}`, `{name}_FILE`") } else { format!("`{name}`") }
}

fn default(preset: Preset) -> String {
    match preset {
        Preset::Required(_) => "**required**".to_owned(),
        Preset::Unset(meaning) => format!("– ({meaning})"),
        Preset::Value(value) => format!("`{value}`"),
        Preset::Own(first, second) => format!("`{first}`, `{second}`"),
    }
}

fn about(variable: &Variable) -> String {
    match (variable.about, variable.example) {
        (about, "") => about.to_owned(),
        (about, example) => format!("{about} Example: `{example}`"),
    }
}

/// A `.env` that names everything and sets what must be filled in.
pub fn dot_env() -> String {
    let mut text = DOT_ENV.to_owned();
    for section in VARIABLES {
        let _ = write!(text, "\n# ---- {}\n", section.title);
        for variable in section.variables {
            let about = about(variable).replace('`', "");
            let _ = write!(text, "\n{}{}", comment(&about), lines(variable));
        }
    }
    let _ = write!(text, "\n# ---- Runtime settings\n\n{DOT_ENV_RUNTIME}");
    for &setting in Setting::ALL {
        let definition = setting.definition();
        let default = setting.show(definition.default);
        let _ = writeln!(text, "# {}={default}", definition.name);
    }
    text
}

/// The lines that set a variable; a comment unless it is required.
fn lines(variable: &Variable) -> String {
    let name = variable.name;
    let both =
        |first: &str, second: &str| format!("# APP_A_{name}={first}\n# APP_B_{name}={second}\n");
    match variable.preset {
        Preset::Required(lines) => lines.join("\n") + "\n",
        Preset::Own(first, second) => both(first, second),
        Preset::Unset(_) if variable.each => both("", ""),
        Preset::Unset(_) => format!("# {name}=\n"),
        Preset::Value(value) => format!("# {name}={value}\n"),
    }
}

/// A text as lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(lines, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::config::table::variables;

    fn committed(path: &str) -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        std::fs::read_to_string(format!("{root}{path}")).unwrap()
    }

    #[test]
    fn the_reference_and_the_example_are_those_of_the_code() {
        for (path, made) in [("docs/CONFIGURATION.md", reference()), (".env.example", dot_env())] {
            assert!(committed(path) == made, "{path} is not current: run `make reference`");
        }
    }

    #[test]
    fn every_variable_is_said_once_and_in_words() {
        let names: Vec<_> = variables().map(|variable| variable.name).collect();
        let settings: Vec<_> = Setting::ALL.iter().map(|s| s.definition().name).collect();
        let all = [names, settings].concat();
        let once: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(once.len(), all.len());
        for variable in variables() {
            assert!(variable.about.ends_with('.'), "{}", variable.name);
            assert!(!variable.about.contains('|'), "{}", variable.name);
        }
    }

    /// Whoever fills in the required ones and removes every `#` before a name gets what the app does anyway.
    #[test]
    fn the_example_names_nothing_that_no_app_reads_and_shows_the_defaults() {
        let pairs = dot_env();
        let pairs = pairs.lines().filter_map(|line| line.trim_start_matches("# ").split_once('='));
        let plain = |name: &str| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let pairs: Vec<_> = pairs.filter(|(name, _)| plain(name)).collect();
        assert!(pairs.len() > variables().count());
        for app in ["app-a", "app-b"] {
            // Those that are empty count as not set, so they would not be looked at.
            let pairs = pairs
                .iter()
                .map(|(name, value)| (*name, if value.is_empty() { "set" } else { value }));
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(Environment::new(pairs, app).findings(), [], "{app}");
        }
    }
}
