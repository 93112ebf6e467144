//! Names that no app reads, and what was probably meant.

use super::Finding;
use super::table::{PER_PEER, named, variables};
use crate::settings::TABLE;

/// What stands before the names of one app alone. Each binary looks after its own.
const PREFIXES: [&str; 2] = ["APP_A_", "APP_B_"];
/// Names that are like ours and belong to others: where the system's certificates are.
const OF_OTHERS: [&str; 1] = ["SSL_CERT_FILE"];
/// How many letters may be wrong in a name without a prefix that still looks like one of ours; it may be another
/// program's.
const WRONG_LETTERS: usize = 2;
/// Names up to this length look like too many others for that; one letter then.
const SHORT: usize = 8;

/// Names with this app's prefix that no app reads are errors; others that look like ours are worth a warning.
pub(super) fn unknown<'a>(names: impl Iterator<Item = &'a str>, prefix: &str) -> Vec<Finding> {
    names.filter_map(|name| judge(name, prefix)).collect()
}

fn judge(name: &str, prefix: &str) -> Option<Finding> {
    if let Some(plain) = name.strip_prefix(prefix) {
        let why = (!is_known(plain)).then(|| explain(name, prefix, plain))?;
        return Some(Finding::error(name, why));
    }
    let is_of_others =
        OF_OTHERS.contains(&name) || PREFIXES.iter().any(|other| name.starts_with(other));
    if is_known(name) || is_of_others {
        return None;
    }
    if name.strip_suffix("_FILE").is_some_and(is_known) {
        return Some(Finding::warning(name, explain(name, "", name)));
    }
    let own = known().map(|known| format!("{prefix}{known}"));
    let (distance, nearest) = nearest(name, known().chain(own))?;
    let may = if name.len() <= SHORT { 1 } else { WRONG_LETTERS };
    let why = format!("{name} is not known; did you mean {nearest}?");
    (distance <= may).then(|| Finding::warning(name, why))
}

fn explain(name: &str, prefix: &str, plain: &str) -> String {
    if let Some(base) = plain.strip_suffix("_FILE").filter(|base| is_known(base)) {
        return format!("{name} is not known: only secrets come from files; set {prefix}{base}.");
    }
    let nearest = nearest(plain, known()).map(|(_, nearest)| nearest).unwrap_or_default();
    format!("{name} is not known; did you mean {prefix}{nearest}?")
}

fn is_known(name: &str) -> bool {
    let secret = |base: &str| named(base).is_some_and(|variable| variable.secret);
    named(name).is_some()
        || name.strip_suffix("_FILE").is_some_and(secret)
        || name.starts_with(PER_PEER)
        || TABLE.iter().any(|setting| setting.name == name)
}

/// Every name without a prefix, but for those of the secrets of single peers.
fn known() -> impl Iterator<Item = String> {
    let files = variables().filter(|variable| variable.secret);
    let files = files.map(|variable| format!("{}_FILE", variable.name));
    let plain = variables().map(|variable| variable.name);
    plain.chain(TABLE.iter().map(|setting| setting.name)).map(str::to_owned).chain(files)
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<(usize, String)> {
    known
        .map(|known| (strsim::damerau_levenshtein(&known, name), known))
        .min_by_key(|(distance, _)| *distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Level;

    fn said(name: &str) -> Option<(Level, String)> {
        judge(name, "APP_A_").map(|finding| (finding.level, finding.message))
    }

    #[test]
    fn a_misspelt_name_is_told_the_nearest_right_one_also_of_files() {
        for (name, level, meant) in [
            ("APP_A_FERNET_KEY", Level::Error, "APP_A_FERNET_KEYS?"),
            ("APP_A_JWT_SERCET_FILE", Level::Error, "APP_A_JWT_SECRET_FILE?"),
            ("APP_A_SOMETHING_ELSE", Level::Error, "did you mean APP_A_"),
            ("APP_A_BIND_ADDR_FILE", Level::Error, "set APP_A_BIND_ADDR."),
            ("BIND_ADDR_FILE", Level::Warning, "set BIND_ADDR."),
            ("FERNET_KEY", Level::Warning, "FERNET_KEYS?"),
            ("FERNET_KEYS_FIEL", Level::Warning, "FERNET_KEYS_FILE?"),
            ("RATE_LIMIT_SENT", Level::Warning, "RATE_LIMIT_SEND?"),
            ("APPA_JWT_SECRET", Level::Warning, "APP_A_JWT_SECRET?"),
            ("PEER", Level::Warning, "PEERS?"),
        ] {
            let (found, message) = said(name).expect(name);
            assert!(found == level && message.contains(meant), "{name}: {found:?} {message}");
        }
    }

    #[test]
    fn names_of_ours_of_the_other_app_and_of_other_programs_are_left_alone() {
        for name in [
            "FERNET_KEYS",
            "FERNET_KEYS_FILE",
            "APP_A_RELAY_SECRET_APP_B",
            "RELAY_SECRET_APP_B_FILE",
            "PAGE_SIZE",
            "APP_B_JWT_SECRET",
            "APP_B_NONSENSE",
            "PATH",
            "HOME",
            "PAGER",
            "POSTGRES_PASSWORD",
            "COMPOSE_FILE",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "RUSTFLAGS",
            "RUST_BACKTRACE",
        ] {
            assert_eq!(said(name), None, "{name}");
        }
    }
}
