//! Writing transactions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqlitePool;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Conn, Db, Error, Remote, Result};

/// Transactions that one group commits together, at most.
const GROUP: usize = 64;
/// Transactions that wait for the writer, at most; those beyond wait for a place.
const QUEUE: usize = 1024;

impl Db {
    /// Runs `job` in a transaction and gives its value once that is committed: on disk, with what it wrote.
    ///
    /// If the job fails, nothing of it stays. It runs to its end even if the caller goes away, so it must not wait
    /// for anything but the database. On SQLite, jobs that arrive while a commit is under way share the next one;
    /// each has a savepoint of its own, so one that fails takes none of its neighbours with it.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match self {
            Self::Sqlite { writer, .. } => writer.write(job).await,
            Self::Postgres { pool, commits } => {
                let (pool, commits) = (pool.clone(), commits.clone());
                let run = tokio::spawn(async move {
                    let conn = pool.acquire().await.map_err(Error::from)?;
                    let mut conn = Conn::Postgres(Remote::new(conn));
                    conn.run("BEGIN").await?;
                    // A panic drops the connection half-way; the pool must not hand it out again.
                    match AssertUnwindSafe(job(&mut conn)).catch_unwind().await {
                        Ok(Ok(value)) => {
                            conn.run("COMMIT").await?;
                            commits.notify_one();
                            Ok(value)
                        }
                        Ok(Err(error)) => {
                            if conn.run("ROLLBACK").await.is_err() {
                                discard(conn);
                            }
                            Err(error)
                        }
                        Err(_) => {
                            discard(conn);
                            Err(Error::Undone.into())
                        }
                    }
                });
                run.await.unwrap_or_else(|_| Err(Error::Undone.into()))
            }
        }
    }
}

fn discard(conn: Conn) {
    match conn {
        Conn::Sqlite(conn) => drop(conn.detach()),
        Conn::Postgres(mut remote) => remote.discard(),
    }
}

/// Whether what a job wrote is to stay.
#[derive(PartialEq, Eq)]
enum Verdict {
    Keep,
    Undo,
}

type Job = Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Verdict> + Send>;

struct Queued {
    job: Job,
    committed: oneshot::Sender<Result<()>>,
}

/// The one connection that writes to SQLite, and the queue before it.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Queued>,
    pool: SqlitePool,
    closing: CancellationToken,
    commits: Arc<Notify>,
}

impl Writer {
    pub(super) async fn start(pool: SqlitePool) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let conn = Conn::Sqlite(pool.acquire().await?);
        let (closing, commits) = (CancellationToken::new(), Arc::<Notify>::default());
        tokio::spawn(write_groups(conn, jobs, closing.clone(), commits.clone()));
        Ok(Self { queue, pool, closing, commits })
    }

    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.queue.max_capacity() - self.queue.capacity(), self.queue.max_capacity())
    }

    pub(super) fn commits(&self) -> &Arc<Notify> {
        &self.commits
    }

    pub(super) async fn close(&self) {
        // The connection comes back once the jobs in the queue are done.
        self.closing.cancel();
        self.pool.close().await;
    }

    async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (give, value) = oneshot::channel();
        let (committed, commit) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            Box::pin(async move {
                let result = job(conn).await;
                let verdict = if result.is_ok() { Verdict::Keep } else { Verdict::Undo };
                let _ = give.send(result);
                verdict
            })
        });
        self.queue.send(Queued { job, committed }).await.map_err(|_| Error::Closed)?;
        commit.await.map_err(|_| Error::Undone)??;
        value.await.map_err(|_| Error::Undone)?
    }
}

async fn write_groups(
    mut conn: Conn,
    mut queue: mpsc::Receiver<Queued>,
    closing: CancellationToken,
    commits: Arc<Notify>,
) {
    let mut group = Vec::new();
    loop {
        tokio::select! {
            biased;
            count = queue.recv_many(&mut group, GROUP) => if count == 0 { break },
            () = closing.cancelled(), if !queue.is_closed() => queue.close(),
        }
        let (jobs, answers): (Vec<_>, Vec<_>) =
            group.drain(..).map(|queued| (queued.job, queued.committed)).unzip();
        let outcome = commit(&mut conn, jobs).await;
        if let Err(error) = &outcome {
            tracing::warn!(%error, "a group of writes was undone");
            // Nothing to do if there was no transaction left to undo.
            let _ = conn.run("ROLLBACK").await;
        }
        commits.notify_one();
        for answer in answers {
            let _ = answer.send(outcome.clone());
        }
    }
}

/// Runs the jobs in one transaction. A job that fails is undone alone; an error here undoes all of them.
async fn commit(conn: &mut Conn, jobs: Vec<Job>) -> Result<()> {
    conn.run("BEGIN IMMEDIATE").await?;
    let alone = jobs.len() == 1;
    for job in jobs {
        if alone {
            if run(conn, job).await == Verdict::Undo {
                // SQLite undoes the transaction by itself on some errors (a full disk); then there is none to undo.
                let _ = conn.run("ROLLBACK").await;
                return Ok(());
            }
            break;
        }
        conn.run("SAVEPOINT job").await?;
        if run(conn, job).await == Verdict::Undo {
            // If it has, this fails, and so do all.
            conn.run("ROLLBACK TO job").await.map_err(|_| Error::Undone)?;
        }
        conn.run("RELEASE job").await?;
    }
    conn.run("COMMIT").await
}

async fn run(conn: &mut Conn, job: Job) -> Verdict {
    AssertUnwindSafe(job(conn)).catch_unwind().await.unwrap_or(Verdict::Undo)
}
