use shared::encryption::Keyring;
use shared::id::MessageId;
use uuid::Uuid;

use super::index::{self, BATCH as INDEXED};
use super::store;
use crate::db::{Db, Result, patiently};

/// Messages that are read, opened and written at once; even the longest of them take no more than some megabytes.
const BATCH: i64 = 128;

/// How far it has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Messages whose terms have been made anew.
    pub renewed: u64,
    /// Messages that do not open.
    pub unreadable: u64,
    /// Messages with a text, when it began.
    pub messages: i64,
}

/// Makes the search terms of the messages that have none, or have those of another key or version; of every message
/// if it is `all`. `tell` is told after every batch.
///
/// It may be stopped at any time: what is done is done, and the next run finds what is left. It may run beside the app.
pub async fn reindex(
    db: &Db,
    keyring: &Keyring,
    all: bool,
    mut tell: impl FnMut(&Progress),
) -> Result<Progress> {
    let mark = (!all).then(|| keyring.terms_mark());
    let messages = store::with_text(&mut db.read().await?).await?;
    let mut progress = Progress { messages, ..Progress::default() };
    let mut after = MessageId::from(Uuid::nil());
    loop {
        let stale = store::stale(&mut db.read().await?, after, mark.as_deref(), BATCH).await?;
        let Some(last) = stale.last() else { break };
        after = last.id;
        let mut renewed = Vec::with_capacity(stale.len());
        for message in stale {
            match keyring.terms_of(&message.content) {
                Ok(terms) => renewed.push((message.id, message.revision, terms)),
                Err(why) => {
                    tracing::warn!(message = %message.id, code = why.code(), "unreadable message");
                    progress.unreadable += 1;
                }
            }
        }
        progress.renewed += renewed.len() as u64;
        patiently(async || {
            let renewed = renewed.clone();
            db.write(move |conn| {
                Box::pin(async move {
                    for (id, revision, terms) in &renewed {
                        store::renew(conn, *id, *revision, terms).await?;
                    }
                    Ok(())
                })
            })
            .await
        })
        .await?;
        while patiently(async || index::batch(db, INDEXED).await).await? {}
        tell(&progress);
    }
    // What was left in the queue before, by a process that is no more.
    while patiently(async || index::batch(db, INDEXED).await).await? {}
    Ok(progress)
}
