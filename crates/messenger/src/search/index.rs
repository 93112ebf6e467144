use std::time::{Duration, Instant};

use shared::problem::Problem;
use tokio::sync::{mpsc, oneshot};

use super::store;
use crate::db::{Db, Error, Result};

/// Messages that one transaction moves into the index: few enough that a send behind it does not wait long.
pub(super) const BATCH: usize = 256;
/// The same while a search waits: more than are sent in the time that it takes.
const LARGE_BATCH: usize = 1024;
/// How often to look for messages that no search has asked for.
const TICK: Duration = Duration::from_millis(500);
/// How long to rest after a full batch that nobody waits for, as a multiple of the time that it took: the sends come
/// first, and while there are many the index may fall behind.
const REST: u32 = 9;
/// How long a search waits for the index.
const PATIENCE: Duration = Duration::from_secs(3);
/// Searches that wait at once, at most.
const WAITING: usize = 1024;

/// The task that moves new and changed messages into the index.
pub struct Index {
    db: Db,
    asked: mpsc::Sender<oneshot::Sender<Result<()>>>,
}

impl Index {
    /// Starts it; it ends when this is dropped.
    pub fn start(db: &Db) -> Self {
        let (asked, questions) = mpsc::channel(WAITING);
        tokio::spawn(keep_up(db.clone(), questions));
        Self { db: db.clone(), asked }
    }

    /// Waits until everything is in the index that was committed before; 503 `search_behind` if that takes too long.
    pub async fn catch_up(&self) -> Result<(), Problem> {
        if !store::is_behind(&mut self.db.read().await?).await? {
            return Ok(());
        }
        let behind = || {
            let why = "The index of the search has not caught up with the messages yet.";
            Problem::unavailable("search_behind", why, 2)
        };
        let (answer, answered) = oneshot::channel();
        self.asked.try_send(answer).map_err(|_| behind())?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(done)) => Ok(done?),
            Ok(Err(_)) | Err(_) => Err(behind()),
        }
    }
}

async fn keep_up(db: Db, mut questions: mpsc::Receiver<oneshot::Sender<Result<()>>>) {
    let (mut waiting, mut pause) = (Vec::new(), TICK);
    loop {
        tokio::select! {
            count = questions.recv_many(&mut waiting, WAITING) => if count == 0 { break },
            () = tokio::time::sleep(pause) => {}
        }
        let started = Instant::now();
        let done = if waiting.is_empty() { step(&db).await } else { catch_up(&db).await };
        pause = match &done {
            Ok(true) => started.elapsed() * REST,
            Ok(false) => TICK,
            Err(Error::Closed) => break,
            Err(error) => {
                tracing::warn!(%error, "the index of the search cannot be written; trying again");
                TICK
            }
        };
        for answer in waiting.drain(..) {
            let _ = answer.send(done.clone().map(|_| ()));
        }
    }
}

/// Moves one batch; whether there may be more.
async fn step(db: &Db) -> Result<bool> {
    Ok(store::is_behind(&mut db.read().await?).await? && batch(db, BATCH).await?)
}

/// Moves everything that is there when it begins, and what comes meanwhile.
async fn catch_up(db: &Db) -> Result<bool> {
    while batch(db, LARGE_BATCH).await? {}
    Ok(false)
}

/// Moves up to `limit` messages from the queue into the index; whether there may be more of them.
pub(super) async fn batch(db: &Db, limit: usize) -> Result<bool> {
    db.write(move |conn| {
        Box::pin(async move { Ok(store::index_some(conn, limit).await? == limit) })
    })
    .await
}
