//! The ring where it stands: in a file of its own, or as a line of `.env`.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::json;
use shared::encryption::{KeyId, Keyring};
use zeroize::Zeroizing;

use super::Manner;
use crate::config::{Config, Source};

/// The keys as texts, and where they stand.
pub struct Ring {
    place: Source,
    keys: Vec<Zeroizing<String>>,
}

impl Ring {
    /// The ring of a configuration, which has checked it.
    pub fn of(config: &Config) -> Self {
        let keys = config.fernet_keys.expose().split(',');
        let keys = keys.map(|key| Zeroizing::new(key.trim().to_owned())).collect();
        Self { place: config.ring_place.clone(), keys }
    }

    /// The names of the keys, in their order.
    pub fn ids(&self) -> Result<Vec<KeyId>, String> {
        Ok(self.keyring()?.key_ids())
    }

    fn keyring(&self) -> Result<Keyring, String> {
        Keyring::parse(&self.list()).map_err(|error| format!("this would be no ring: {error}"))
    }

    fn list(&self) -> Zeroizing<String> {
        let mut list = Zeroizing::new(String::new());
        for (key, number) in self.keys.iter().zip(0..) {
            let _ = write!(list, "{}{}", if number == 0 { "" } else { "," }, key.as_str());
        }
        list
    }

    /// Where a key stands.
    pub fn position(&self, id: KeyId) -> Result<usize, String> {
        let place = self.ids()?.iter().position(|known| *known == id);
        place.ok_or_else(|| format!("there is no key {id} in the ring; keys list shows which are"))
    }

    /// Puts a key at the end.
    pub fn push(&mut self, key: Zeroizing<String>) {
        self.keys.push(key);
    }

    /// Moves the key at a position to the front.
    pub fn promote(&mut self, position: usize) {
        self.keys[..=position].rotate_right(1);
    }

    /// Takes the key at a position out.
    pub fn remove(&mut self, position: usize) {
        self.keys.remove(position);
    }

    /// Writes the ring where it stands, or gives what to set; in both cases it gives what to say.
    pub fn put(&self, id: KeyId, done: &str, manner: Manner) -> Result<String, String> {
        let ids = self.ids()?;
        if manner.print {
            return Ok(format!("FERNET_KEYS={}\n", self.list().as_str()));
        }
        let place = self.write()?;
        Ok(if manner.json {
            format!("{}\n", json!({ "key": id, "ring": ids, "written": place }))
        } else {
            let ids: Vec<_> = ids.iter().map(KeyId::to_string).collect();
            format!(
                "{id} {done}; the ring in {place} is now {}\n\
                 Restart every process of this app, one after the other, so that it counts.\n",
                ids.join(", ")
            )
        })
    }

    fn write(&self) -> Result<String, String> {
        let list = self.list();
        let (path, text) = match &self.place {
            Source::File(path) => (path.clone(), Zeroizing::new(format!("{}\n", list.as_str()))),
            Source::DotEnv(name) => {
                let path = PathBuf::from(".env");
                let before = fs::read_to_string(&path).map(Zeroizing::new);
                let before = before.map_err(|error| format!(".env cannot be read: {error}"))?;
                (path, with_line(&before, name, &list)?)
            }
            Source::Process(name) => {
                return Err(format!(
                    "{name} is set in the environment of the process, which cannot be changed from here; \
                     --print shows what to set it to"
                ));
            }
        };
        let shown = path.display().to_string();
        replace(&path, &text).map_err(|error| {
            format!("{shown} cannot be replaced: {error}; --print shows what to set FERNET_KEYS to")
        })?;
        Ok(shown)
    }
}

/// A `.env` file with another value on the line that counts, the last of its name.
fn with_line(text: &str, name: &str, value: &str) -> Result<Zeroizing<String>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_it = |line: &&str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let place = lines.iter().rposition(is_it);
    let place = place.ok_or_else(|| format!("there is no line for {name} in .env"))?;
    let (_, old) = lines[place].split_once('=').unwrap_or_default();
    let quotes = |quote: char| old.matches(quote).count();
    if quotes('"') % 2 == 1 || quotes('\'') % 2 == 1 {
        return Err(format!("{name} spans lines in .env; put it on one"));
    }
    let exported = if lines[place].trim_start().starts_with("export ") { "export " } else { "" };
    let mut changed = Zeroizing::new(String::with_capacity(text.len() + value.len()));
    for (line, number) in lines.iter().zip(0..) {
        if number == place {
            let _ = writeln!(changed, "{exported}{name}={value}");
        } else {
            let _ = writeln!(changed, "{line}");
        }
    }
    Ok(changed)
}

/// Puts a file in the place of another, all of it or nothing, with its mode and its owner.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let path = path.canonicalize()?;
    let known = path.metadata()?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = (|| {
        file.write_all(text.as_bytes())?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (known.uid(), known.gid()) {
            chown(&beside, Some(known.uid()), Some(known.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(known.mode() & 0o7777))?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
        return written;
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_env_is_replaced_and_the_others_stay() {
        let text = "# FERNET_KEYS=old\nA=1\nexport FERNET_KEYS = \"one\"\nFERNET_KEYS_FILE=x\nB=2";
        let changed = with_line(text, "FERNET_KEYS", "one,two").unwrap();
        let expected =
            "# FERNET_KEYS=old\nA=1\nexport FERNET_KEYS=one,two\nFERNET_KEYS_FILE=x\nB=2\n";
        assert_eq!(changed.as_str(), expected);
        assert!(with_line(text, "APP_A_FERNET_KEYS", "x").is_err());
        assert!(with_line("FERNET_KEYS=\"a,\nb\"", "FERNET_KEYS", "x").is_err());
        let twice = with_line("K=1\nK=2\n", "K", "3").unwrap();
        assert_eq!(twice.as_str(), "K=1\nK=3\n", "the last one counts");
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_the_link_to_it() {
        let folder = std::env::temp_dir().join(format!("ring-{:032x}", rand::random::<u128>()));
        fs::create_dir(&folder).unwrap();
        let (file, link) = (folder.join("keys"), folder.join("link"));
        fs::write(&file, "one").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "one,two\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one,two\n");
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing is left beside it");
        fs::remove_dir_all(&folder).unwrap();
    }
}
