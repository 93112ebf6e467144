use std::sync::Arc;

use futures::future::BoxFuture;
use shared::problem::Problem;
use tokio::sync::{mpsc, oneshot};

use super::{Conn, Db, Result};

/// Items that one transaction takes, at most.
const BATCH: usize = 256;
/// Items that wait, at most; those beyond are answered 503.
const QUEUE: usize = 4096;

/// Collects what arrives while a commit is under way, to write it in one transaction with few statements.
///
/// Nobody is answered before their own commit, and one bad item never fails its neighbours: if a whole batch
/// fails, its items are tried again one by one.
#[derive(Debug)]
pub struct Batcher<I, O> {
    queue: mpsc::Sender<Item<I, O>>,
}

/// Writes some items in the transaction of a connection.
type Apply<I, O> =
    Arc<dyn for<'c> Fn(&'c mut Conn, Vec<Arc<I>>) -> BoxFuture<'c, Result<Vec<O>>> + Send + Sync>;

type Item<I, O> = (I, oneshot::Sender<Result<O, Problem>>);

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<I: Send + Sync + 'static, O: Send + 'static> Batcher<I, O> {
    /// Starts a task that writes with `apply`, which gives one answer for each item, in their order.
    pub fn start<F>(db: Db, apply: F) -> Self
    where
        F: for<'c> Fn(&'c mut Conn, Vec<Arc<I>>) -> BoxFuture<'c, Result<Vec<O>>>
            + Send
            + Sync
            + 'static,
    {
        let apply: Apply<I, O> = Arc::new(apply);
        let (queue, mut items) = mpsc::channel::<Item<I, O>>(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while items.recv_many(&mut batch, BATCH).await > 0 {
                let (items, answers): (Vec<_>, Vec<_>) =
                    batch.drain(..).map(|(item, answer)| (Arc::new(item), answer)).unzip();
                write(&db, &apply, items, answers).await;
            }
        });
        Self { queue }
    }

    /// How many items wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        (self.queue.max_capacity() - self.queue.capacity(), self.queue.max_capacity())
    }

    /// Gives what `apply` answers for `item`, once that is on disk.
    pub async fn submit(&self, item: I) -> Result<O, Problem> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send((item, answer)).map_err(|_| {
            Problem::unavailable("busy", "Too many messages are waiting to be written.", 1)
        })?;
        answered
            .await
            .map_err(|_| Problem::unavailable("stopping", "The service is stopping.", 1))?
    }
}

async fn write<I, O>(
    db: &Db,
    apply: &Apply<I, O>,
    items: Vec<Arc<I>>,
    answers: Vec<oneshot::Sender<Result<O, Problem>>>,
) where
    I: Send + Sync + 'static,
    O: Send + 'static,
{
    let attempt = async |items: Vec<Arc<I>>| {
        let apply = apply.clone();
        db.write(move |conn| apply(conn, items)).await
    };
    match attempt(items.clone()).await {
        Ok(values) => {
            for (value, answer) in values.into_iter().zip(answers) {
                let _ = answer.send(Ok(value));
            }
        }
        Err(error) if error.is_transient() || items.len() == 1 => {
            for answer in answers {
                let _ = answer.send(Err(error.clone().into()));
            }
        }
        Err(_) => {
            for (item, answer) in items.into_iter().zip(answers) {
                let alone = attempt(vec![item]).await.map(|mut values| values.pop());
                let _ = answer.send(match alone {
                    Ok(Some(value)) => Ok(value),
                    Ok(None) => Err(Problem::internal()),
                    Err(error) => Err(error.into()),
                });
            }
        }
    }
}
