//! SQLite without a detour: a statement runs on the thread that asks for it, and its rows are read where they lie.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::query::Row;
use super::value::Value;
use super::{Error, Result};

/// Prepared statements that a connection keeps, at most.
const STATEMENTS: usize = 256;
/// Steps of SQLite's machine between two looks at the patience that is left.
const STEPS: i32 = 1000;
/// How many times [`STEPS`] a read may take on a thread that serves requests: a few milliseconds.
const PATIENCE: i64 = 100;

/// A connection to a file.
pub struct Link {
    connection: Connection,
    /// What is left of it; without any, the statement is interrupted.
    patience: Arc<AtomicI64>,
}

impl Link {
    /// Opens a file that is there.
    pub fn open(path: &PathBuf, busy_timeout: Duration, only_reads: bool) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Otherwise a statement with `LIMIT $N` is planned anew each time that a value is bound to it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // The cache, in KiB, is each connection's own; what is not in it is most often in that of the system.
        connection.execute_batch(
            "PRAGMA foreign_keys = on; PRAGMA synchronous = full; PRAGMA temp_store = memory;
             PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -1024;",
        )?;
        connection.pragma_update(None, "query_only", only_reads)?;
        let patience = Arc::new(AtomicI64::new(i64::MAX));
        if only_reads {
            let left = patience.clone();
            let is_over = move || left.fetch_sub(1, Ordering::Relaxed) <= 0;
            connection.progress_handler(STEPS, Some(is_over))?;
        }
        Ok(Self { connection, patience })
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub fn execute(&self, text: &str, values: &[Value]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(text)?;
        for (value, index) in values.iter().zip(1usize..) {
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(statement.raw_execute()? as u64)
    }

    /// Runs a statement and gives every row, as `map` reads it.
    pub fn rows<T>(
        &self,
        text: &str,
        values: &[Value],
        map: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut read = Vec::new();
        self.each(text, values, |row| {
            read.push(map(row)?);
            Ok(true)
        })?;
        Ok(read)
    }

    /// Runs a statement and hands each row to `take`, until that gives `false`.
    pub fn each(
        &self,
        text: &str,
        values: &[Value],
        mut take: impl FnMut(&Row) -> Result<bool>,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(text)?;
        for (value, index) in values.iter().zip(1usize..) {
            statement.raw_bind_parameter(index, value)?;
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !take(&row.into())? {
                break;
            }
        }
        Ok(())
    }

    /// The same, on a thread that serves requests, of which it is known that it takes long.
    pub fn read_each(
        &self,
        text: &str,
        values: &[Value],
        take: impl FnMut(&Row) -> Result<bool>,
    ) -> Result<()> {
        self.patience.store(i64::MAX, Ordering::Relaxed);
        if is_movable() {
            tokio::task::block_in_place(|| self.each(text, values, take))
        } else {
            self.each(text, values, take)
        }
    }

    /// [`Link::rows`] on a thread that serves requests. Most reads take microseconds and are done before another thread
    /// would have begun; one that turns out to take long is begun anew where nobody waits behind it.
    pub fn read<T>(
        &self,
        text: &str,
        values: &[Value],
        map: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let patience = if is_movable() { PATIENCE } else { i64::MAX };
        self.patience.store(patience, Ordering::Relaxed);
        match self.rows(text, values, &map) {
            Err(Error::Sqlite(error))
                if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
            {
                self.patience.store(i64::MAX, Ordering::Relaxed);
                tokio::task::block_in_place(|| self.rows(text, values, map))
            }
            done => done,
        }
    }
}

/// Whether what else this thread has to do can go on on another one.
fn is_movable() -> bool {
    Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() != RuntimeFlavor::CurrentThread)
}

/// The connections that read.
pub struct Readers {
    path: PathBuf,
    busy_timeout: Duration,
    idle: Mutex<Vec<Link>>,
    places: Arc<Semaphore>,
    most: usize,
}

impl Readers {
    /// At most `most` of them, each opened when it is first needed.
    pub fn new(path: PathBuf, busy_timeout: Duration, most: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(most));
        Arc::new(Self { path, busy_timeout, idle: Mutex::default(), places, most })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One of them, once one is free.
    pub async fn lend(self: &Arc<Self>, patience: Duration) -> Result<Lent> {
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => timeout(patience, self.places.clone().acquire_owned())
                .await
                .map_err(|_| sqlx::Error::PoolTimedOut)?
                .map_err(|_| Error::Closed)?,
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let link = match idle {
            Some(link) => link,
            None => Link::open(&self.path, self.busy_timeout, true)?,
        };
        Ok(Lent { link: Some(link), home: self.clone(), _place: place })
    }

    /// How many are lent, and how many are idle.
    pub fn counts(&self) -> (usize, usize) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        (self.most.saturating_sub(self.places.available_permits()), idle)
    }

    /// Lends no more.
    pub fn close(&self) {
        self.places.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A connection that reads, and that goes back when it is dropped.
pub struct Lent {
    link: Option<Link>,
    home: Arc<Readers>,
    _place: OwnedSemaphorePermit,
}

impl Lent {
    /// The connection.
    pub fn link(&self) -> Result<&Link> {
        self.link.as_ref().ok_or(Error::Closed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // One that was left in the midst of a transaction is closed, which ends that.
        let sound = |link: &Link| link.connection.is_autocommit() && !self.home.places.is_closed();
        if let Some(link) = self.link.take().filter(sound) {
            self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// A file with the numbers from 1 to 1000, and a connection that reads it.
    fn numbers() -> (tempfile::TempDir, Link) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.db");
        Connection::open(&path).unwrap();
        let writer = Link::open(&path, Duration::from_secs(1), false).unwrap();
        writer.execute("CREATE TABLE numbers (n INTEGER NOT NULL PRIMARY KEY)", &[]).unwrap();
        let fill = "INSERT INTO numbers WITH RECURSIVE r (n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < ?1) SELECT n FROM r";
        assert_eq!(writer.execute(fill, &[Value::Integer(1000)]).unwrap(), 1000);
        let reader = Link::open(&path, Duration::from_secs(1), true).unwrap();
        (folder, reader)
    }

    #[test]
    fn a_statement_is_planned_once_whatever_its_values_are() {
        const PAGE: &str = "SELECT n FROM numbers WHERE n > ?1 ORDER BY n LIMIT ?2";
        let (_folder, link) = numbers();
        for (after, limit) in [(0, 1), (10, 20), (999, 20), (5, 1000)] {
            let values = [Value::Integer(after), Value::Integer(limit)];
            let rows = link.rows(PAGE, &values, |row| row.take::<i64>()).unwrap();
            assert_eq!(rows.first(), Some(&(after + 1)));
        }
        let statement = link.connection.prepare_cached(PAGE).unwrap();
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        assert!(statement.get_status(StatementStatus::Run) >= 4, "it was another one");
    }

    #[test]
    fn who_reads_writes_nothing() {
        let (_folder, link) = numbers();
        assert!(link.execute("DELETE FROM numbers", &[]).is_err());
        assert!(link.execute("CREATE TABLE others (n INTEGER)", &[]).is_err());
        let count = link.rows("SELECT count(*) FROM numbers", &[], |row| row.take::<i64>());
        assert_eq!(count.unwrap(), [1000]);
    }

    /// It runs past the patience, is interrupted, and gives each row once all the same; and the next one has patience again.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_long_read_holds_nobody_up_and_is_whole() {
        const LONG: &str = "SELECT a.n FROM numbers a WHERE (SELECT count(*) FROM numbers b
            WHERE b.n + a.n > 0) = 1000 ORDER BY a.n";
        let (_folder, link) = numbers();
        let read = tokio::spawn(async move {
            let long = link.read(LONG, &[], |row| row.take::<i64>()).unwrap();
            assert_eq!(link.patience.load(Ordering::Relaxed).min(0), 0, "it has run out again");
            let short = link.read("SELECT n FROM numbers", &[], |row| row.take::<i64>()).unwrap();
            (long, short, link.patience.load(Ordering::Relaxed))
        });
        let (long, short, left) = read.await.unwrap();
        let all: Vec<i64> = (1..=1000).collect();
        assert_eq!((&long, &short), (&all, &all));
        assert!((1..=PATIENCE).contains(&left), "{left}");
    }
}
