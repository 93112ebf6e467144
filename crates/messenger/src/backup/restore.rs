use std::path::{Path, PathBuf};

use shared::time::Timestamp;

use super::reader::{Line, Reader};
use super::tables::TABLES;
use super::{BackupError, Foot, Head, store};
use crate::db::{Conn, Db};
use crate::recovery;

/// Rows that are inserted at once.
const BATCH: usize = 100;

/// How a backup is restored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restored {
    /// What is in the database is removed first.
    pub force: bool,
    /// The backup is all there is: the app was stopped before it was taken, and moves to another database. Sessions
    /// go on, and nothing is asked back from the peers.
    pub moved: bool,
}

/// Puts what a backup holds into an empty database, all of it or nothing.
///
/// What has happened since is another matter: the streams to the peers begin anew, as their numbers have been used for
/// something else, and the peers are asked back for what they hold.
pub async fn restore(
    db: &Db,
    path: &Path,
    how: Restored,
    now: Timestamp,
) -> Result<Foot, BackupError> {
    let path = PathBuf::from(path);
    db.write(move |conn| Box::pin(async move { put(conn, &path, how, now).await })).await
}

async fn put(
    conn: &mut Conn,
    path: &Path,
    how: Restored,
    now: Timestamp,
) -> Result<Foot, BackupError> {
    let (mut reader, head) = Reader::open(path)?;
    let schema = store::schema(conn).await?;
    if head.schema != schema {
        return Err(BackupError::OtherSchema(head.schema, schema));
    }
    if !how.force && store::is_occupied(conn).await? {
        return Err(BackupError::Occupied);
    }
    for table in TABLES.iter().rev() {
        store::clear(conn, table.name).await?;
    }
    store::clear_derived(conn, now).await?;
    let (mut table, mut columns, mut rows) = ("", Vec::new(), Vec::with_capacity(BATCH));
    let foot = loop {
        let line = reader.next()?;
        if rows.len() == BATCH || !matches!(line, Line::Row(_)) {
            store::insert(conn, table, &columns, &rows).await?;
            rows.clear();
        }
        match line {
            Line::Table(name, kinds) => (table, columns) = (name, kinds),
            Line::Row(cells) => rows.push(cells),
            Line::End(foot) => break foot,
        }
    };
    store::queue_all(conn).await?;
    if !how.moved {
        look_back(conn, &head, now).await?;
    }
    Ok(foot)
}

/// Marks that there is a time that this database knows nothing of.
async fn look_back(conn: &mut Conn, head: &Head, now: Timestamp) -> Result<(), BackupError> {
    store::end_sessions(conn, now).await?;
    for peer in store::peers(conn).await? {
        store::renew_stream(conn, &peer, now).await?;
        recovery::begin(conn, &peer, head.taken_at, now).await?;
    }
    Ok(())
}
