//! Backups: everything that an app holds, from one moment, in one file that either database can be restored from.
//!
//! A backup is a text of lines of JSON. The first is a [`Head`]: which app, which schema, when, and which keys it takes
//! to read it. Then come the tables, each as a line with its name and columns, and a line for each row. The last line
//! says how many rows there are of each table, and the hash of all that stands before it, so a file that is cut off or
//! damaged is recognised. Texts are in it as they are in the database, sealed; keys are not in it.
//!
//! | Step | File |
//! |---|---|
//! | which tables and columns | `tables.rs` |
//! | writing one, from one snapshot | `dump.rs` |
//! | reading one line after the other, and checking it | `reader.rs`, `verify.rs` |
//! | into an empty database | `restore.rs` |
//! | what was written since is asked back from the peers | `recovery/` |

mod dump;
mod reader;
mod restore;
mod store;
mod tables;
mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::address::AppName;
use shared::encryption::KeyId;
use shared::time::Timestamp;

pub use dump::dump;
pub use restore::{Restored, restore};
pub use tables::{LEFT_OUT, TABLES};
pub use verify::{Verified, verify};

use crate::db;

/// The form of the file.
const FORMAT: u32 = 1;

/// The first line of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The form of the file.
    pub backup: u32,
    /// Whose it is.
    pub app: AppName,
    /// Which schema: the number of its migrations.
    pub schema: i64,
    /// The moment whose state it holds.
    pub taken_at: Timestamp,
    /// The keys that something in it is sealed with.
    pub keys: Vec<KeyId>,
}

/// The line before the rows of a table.
#[derive(Debug, Serialize, Deserialize)]
struct Heading {
    table: String,
    columns: Vec<String>,
}

/// The last line of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Foot {
    /// How many rows there are of each table.
    pub rows: BTreeMap<String, u64>,
    /// The SHA-256 of everything before this line, in hexadecimal.
    pub sha256: String,
}

/// Why there is no backup, or nothing is restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database, or the way to it.
    #[error("the database cannot be used: {0}")]
    Database(#[from] db::Error),
    /// The file cannot be written or read.
    #[error("the file cannot be used: {0}")]
    File(#[from] std::io::Error),
    /// The file is none, is damaged or cut off.
    #[error("line {0} is not what a backup has there; the file is damaged or incomplete")]
    Damaged(u64),
    /// It is of another app.
    #[error("it is a backup of {0}")]
    OtherApp(AppName),
    /// Another release has made it.
    #[error(
        "its schema is {0} and that of this release is {1}: restore it with the release that made it, \
         then start this one over that database"
    )]
    OtherSchema(i64, i64),
    /// The ring cannot read it.
    #[error("FERNET_KEYS lacks the key {0}, with which something in it is sealed")]
    MissingKey(KeyId),
    /// The ring has the keys by name, and they open nothing.
    #[error("none of {0} messages that were tried opens with FERNET_KEYS")]
    Unreadable(u64),
    /// There is something already.
    #[error("the database is not empty; --force empties it first")]
    Occupied,
}
