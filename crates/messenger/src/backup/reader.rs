use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::dump::hexadecimal;
use super::tables::{Kind, TABLES};
use super::{BackupError, FORMAT, Foot, Head, Heading};

/// Bytes of a line, at most: the longest text, or the largest picture, and more.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// A line of a backup.
pub enum Line {
    /// What follows are rows of this table, with these columns.
    Table(&'static str, Vec<(&'static str, Kind)>),
    /// A row.
    Row(Vec<Value>),
    /// The end; the hash and the counts are right.
    End(Foot),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Row(Vec<Value>),
    Heading(Heading),
    Foot(Foot),
}

/// Reads a backup from its beginning.
pub struct Reader {
    file: BufReader<File>,
    hash: Sha256,
    number: u64,
    columns: usize,
    rows: std::collections::BTreeMap<String, u64>,
    table: String,
}

impl Reader {
    /// Opens a backup, and gives its first line.
    pub fn open(path: &Path) -> Result<(Self, Head), BackupError> {
        let mut reader = Self {
            file: BufReader::new(File::open(path)?),
            hash: Sha256::new(),
            number: 0,
            columns: 0,
            rows: std::collections::BTreeMap::new(),
            table: String::new(),
        };
        let line = reader.line()?;
        reader.hash.update(&line);
        let head: Head = serde_json::from_slice(&line).map_err(|_| reader.damaged())?;
        if head.backup != FORMAT {
            return Err(reader.damaged());
        }
        Ok((reader, head))
    }

    fn damaged(&self) -> BackupError {
        BackupError::Damaged(self.number)
    }

    fn line(&mut self) -> Result<Vec<u8>, BackupError> {
        use std::io::Read;
        self.number += 1;
        let mut line = Vec::new();
        self.file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") { Ok(line) } else { Err(self.damaged()) }
    }

    /// The next line.
    pub fn next(&mut self) -> Result<Line, BackupError> {
        let line = self.line()?;
        let raw = serde_json::from_slice(&line).map_err(|_| self.damaged())?;
        match raw {
            Raw::Row(cells) if cells.len() == self.columns => {
                self.hash.update(&line);
                *self.rows.entry(self.table.clone()).or_default() += 1;
                Ok(Line::Row(cells))
            }
            Raw::Heading(Heading { table, columns }) => {
                self.hash.update(&line);
                let known = TABLES.iter().find(|known| known.name == table);
                let known = known.ok_or_else(|| self.damaged())?;
                let kinds = columns
                    .iter()
                    .map(|name| known.columns.iter().find(|(known, _)| known == name).copied());
                let kinds: Option<Vec<_>> = kinds.collect();
                let kinds = kinds.ok_or_else(|| self.damaged())?;
                self.columns = kinds.len();
                self.rows.insert(table.clone(), 0);
                self.table = table;
                Ok(Line::Table(known.name, kinds))
            }
            Raw::Foot(foot) => {
                let hash = hexadecimal(&self.hash.clone().finalize());
                let at_end = self.file.fill_buf()?.is_empty();
                if hash != foot.sha256 || foot.rows != self.rows || !at_end {
                    return Err(self.damaged());
                }
                Ok(Line::End(foot))
            }
            Raw::Row(_) => Err(self.damaged()),
        }
    }
}
