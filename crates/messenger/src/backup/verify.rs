use std::path::Path;

use serde_json::Value;
use shared::address::AppName;
use shared::encryption::{Ciphertext, Field, FieldCipher, Keyring, SealedContent};
use uuid::Uuid;

use super::reader::{Line, Reader};
use super::tables::Kind;
use super::{BackupError, Foot, Head};

/// Of so many messages one is tried, beside the first hundred.
const EACH: u64 = 1000;

/// What a backup holds.
pub struct Verified {
    /// Its first line.
    pub head: Head,
    /// Its last line.
    pub foot: Foot,
    /// How many messages have been tried.
    pub tried: u64,
    /// How many of those open with the ring.
    pub opened: u64,
}

/// Reads a backup to its end: that it is complete and undamaged, is of this app, and can be read with this ring.
///
/// Some messages may not open, as peers can send such ones; that none does is a failure.
pub fn verify(
    path: &Path,
    app: &AppName,
    keyring: &Keyring,
    fields: &FieldCipher,
) -> Result<Verified, BackupError> {
    let (mut reader, head) = Reader::open(path)?;
    if head.app != *app {
        return Err(BackupError::OtherApp(head.app));
    }
    let ring = keyring.key_ids();
    if let Some(missing) = head.keys.iter().find(|key| !ring.contains(key)) {
        return Err(BackupError::MissingKey(*missing));
    }
    let (mut table, mut columns) = ("", Vec::new());
    let (mut seen, mut tried, mut opened) = (0, 0, 0);
    loop {
        match reader.next()? {
            Line::Table(name, kinds) => (table, columns) = (name, kinds),
            Line::Row(cells) if table == "messages" => {
                let Some(content) = content(&columns, &cells) else { continue };
                seen += 1;
                if seen <= 100 || seen % EACH == 0 {
                    tried += 1;
                    opened += u64::from(keyring.reseal(&content).is_ok());
                }
            }
            Line::Row(cells) if table == "secrets" => {
                if let Some(sealed) = index_key(&columns, &cells)
                    && fields.reseal(Field::IndexKey, Uuid::nil(), &sealed).is_err()
                {
                    return Err(BackupError::MissingKey(sealed.key()));
                }
            }
            Line::Row(_) => {}
            Line::End(_) if tried > 0 && opened == 0 => return Err(BackupError::Unreadable(tried)),
            Line::End(foot) => return Ok(Verified { head, foot, tried, opened }),
        }
    }
}

fn cell<'a>(columns: &[(&str, Kind)], cells: &'a [Value], name: &str) -> Option<&'a Value> {
    let place = columns.iter().position(|(column, _)| *column == name)?;
    cells.get(place)
}

fn content(columns: &[(&str, Kind)], cells: &[Value]) -> Option<SealedContent> {
    let cell = |name| cell(columns, cells, name);
    let id = |name| Uuid::try_parse(cell(name)?.as_str()?).ok();
    let token = cell("content")?.as_str()?.to_owned();
    let token = Ciphertext::stored(cell("key_id")?.as_i64()?, token);
    let revision = cell("revision")?.as_i64()?;
    Some(SealedContent::new(id("id")?.into(), id("sender_id")?.into(), revision, token))
}

fn index_key(columns: &[(&str, Kind)], cells: &[Value]) -> Option<Ciphertext> {
    let cell = |name| cell(columns, cells, name);
    if cell("name")?.as_str()? != "index" {
        return None;
    }
    Some(Ciphertext::stored(cell("key_id")?.as_i64()?, cell("value")?.as_str()?.to_owned()))
}
