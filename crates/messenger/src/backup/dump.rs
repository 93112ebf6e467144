use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::address::AppName;
use shared::encryption::KeyId;
use shared::time::Timestamp;

use super::tables::TABLES;
use super::{BackupError, FORMAT, Foot, Head, Heading, store};
use crate::db::{Conn, Db};
use crate::keys;

/// Writes everything that the database holds at one moment to a new file that its owner alone may read. `place` is that
/// file, or a folder in which one is made with a name of its own. Gives its path, and its first and last line.
///
/// It may run beside the app. A file is there complete, or not at all.
pub async fn dump(
    db: &Db,
    app: &AppName,
    ring: &[KeyId],
    place: &Path,
    now: Timestamp,
) -> Result<(PathBuf, Head, Foot), BackupError> {
    let path = if place.is_dir() { place.join(name(app, now)) } else { place.to_owned() };
    if path.exists() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
    }
    let beside = path.with_added_extension("incomplete");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let mut lines = Lines { file: BufWriter::new(file), hash: Sha256::new() };
    let mut conn = db.snapshot().await?;
    let written = write(&mut conn, &mut lines, app, ring, now).await;
    let closed = Db::end_snapshot(conn).await;
    let done = match written {
        Ok(done) => closed.map_err(BackupError::from).and_then(|()| {
            lines.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&beside, &path)?;
            Ok(done)
        }),
        Err(error) => Err(error),
    };
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    let (head, foot) = done?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    Ok((path, head, foot))
}

fn name(app: &AppName, now: Timestamp) -> String {
    let moment: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    // To the second: the six digits of its fraction and a Z are left away.
    format!("{app}-{}Z.backup", &moment[..moment.len().saturating_sub(7)])
}

struct Lines {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Lines {
    fn put(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        self.hash.update(&line);
        self.file.write_all(&line)
    }
}

async fn write(
    conn: &mut Conn,
    lines: &mut Lines,
    app: &AppName,
    ring: &[KeyId],
    now: Timestamp,
) -> Result<(Head, Foot), BackupError> {
    let usage = keys::usage(conn, ring).await?;
    let needed = usage.iter().filter(|(key, usage)| ring.contains(key) && !usage.is_none());
    let head = Head {
        backup: FORMAT,
        app: app.clone(),
        schema: store::schema(conn).await?,
        taken_at: now,
        keys: needed.map(|(key, _)| *key).collect(),
    };
    lines.put(&head)?;
    let mut rows = BTreeMap::new();
    for table in TABLES {
        let columns = table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        lines.put(&Heading { table: table.name.to_owned(), columns })?;
        let mut count = 0;
        let written = store::rows(conn, table, |row| {
            count += 1;
            lines.put(&row)
        });
        written.await??;
        rows.insert(table.name.to_owned(), count);
    }
    let sha256 = hexadecimal(&lines.hash.clone().finalize());
    let foot = Foot { rows, sha256 };
    lines.put(&foot)?;
    Ok((head, foot))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_whose_it_is_and_when_it_was_taken() {
        let app = "app-a".parse().unwrap();
        let now = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(name(&app, now), "app-a-20231114T221320Z.backup");
    }
}
