//! What the replicas of an app tell each other, through Redis. Nothing depends on it: what is missed is found in the
//! database a second later, or was only worth knowing at that moment.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::AsyncCommands;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use shared::address::AppName;
use shared::id::UserId;
use shared::relay::Typing;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{presence, typing};
use crate::app::App;
use crate::redis::Redis;

/// The channel of an app.
const CHANNEL: &str = "realtime";
/// Words that wait to be said, at most; those beyond are not said.
const WAITING: usize = 1024;
/// How long to wait before listening again after Redis has gone away.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it may be silent: each replica says something more often than that, and hears itself.
const SILENCE: Duration = Duration::from_secs(75);

/// What one replica tells the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// There is something new in the database.
    Committed,
    /// Peers are to be tried at once, as somebody has asked for.
    TryNow {
        /// Which.
        peers: Vec<AppName>,
    },
    /// Somebody writes, or has stopped.
    Typing(Typing),
    /// Who is there and who has gone, seen by this replica itself or told by a peer.
    Presence {
        /// The peer, if it has said so.
        peer: Option<AppName>,
        /// Who is there.
        online: Vec<UserId>,
        /// Who has gone.
        offline: Vec<UserId>,
    },
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    from: Uuid,
    word: Word,
}

/// This replica, among the others.
pub struct Replicas {
    /// Its name; new at every start.
    pub id: Uuid,
    shared: bool,
    announced: Notify,
    committed: AtomicBool,
    waiting: Mutex<VecDeque<Word>>,
    news: Notify,
}

impl Replicas {
    /// `shared` says whether there is a Redis to talk through.
    pub fn new(shared: bool) -> Self {
        Self {
            id: Uuid::from_u128(rand::random()),
            shared,
            announced: Notify::new(),
            committed: AtomicBool::new(false),
            waiting: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Tells the other replicas that this one has committed something; said once for all that is committed meanwhile.
    pub fn announce(&self) {
        if self.shared && !self.committed.swap(true, Ordering::Relaxed) {
            self.news.notify_one();
        }
    }

    /// Waits until another replica says so.
    pub async fn announced(&self) {
        self.announced.notified().await;
    }

    /// Tells the other replicas something.
    pub fn say(&self, word: Word) {
        if !self.shared {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.push_back(word);
            self.news.notify_one();
        }
    }

    fn next(&self) -> Option<Word> {
        if self.committed.swap(false, Ordering::Relaxed) {
            return Some(Word::Committed);
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Says what there is to say, until `stopping` is cancelled.
pub async fn speak(app: Arc<App>, redis: Arc<Redis>, stopping: CancellationToken) {
    let (replicas, channel) = (&app.realtime.replicas, redis.name(CHANNEL));
    while stopping.run_until_cancelled(replicas.news.notified()).await.is_some() {
        while let Some(word) = replicas.next() {
            let Ok(text) = serde_json::to_string(&Envelope { from: replicas.id, word }) else {
                continue;
            };
            let channel = channel.as_str();
            // What cannot be said is lost, and the others find it out by themselves.
            let said = redis
                .run(async |mut connection| connection.publish::<_, _, i64>(channel, text).await);
            if said.await.is_err() {
                metrics::counter!("messaging_replica_words_lost_total").increment(1);
            }
        }
    }
}

/// Listens to the other replicas, until `stopping` is cancelled.
pub async fn listen(app: Arc<App>, redis: Arc<Redis>, stopping: CancellationToken) {
    let listening = async {
        loop {
            // A connection over TLS is large.
            Box::pin(hear(&app, &redis)).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    stopping.run_until_cancelled(listening).await;
}

/// Hears the others until Redis goes away.
async fn hear(app: &App, redis: &Redis) {
    let Ok(mut subscription) = redis.listen().await else { return };
    if subscription.subscribe(redis.name(CHANNEL)).await.is_err() {
        return;
    }
    // Whatever was said before is in the database.
    app.realtime.replicas.announced.notify_one();
    let mut words = subscription.into_on_message();
    while let Ok(Some(word)) = tokio::time::timeout(SILENCE, words.next()).await {
        match serde_json::from_slice::<Envelope>(word.get_payload_bytes()) {
            Ok(Envelope { from, .. }) if from == app.realtime.replicas.id => {}
            Ok(Envelope { from, word }) => heard(app, from, word).await,
            Err(_) => tracing::debug!("another replica says something that is not understood"),
        }
    }
}

async fn heard(app: &App, from: Uuid, word: Word) {
    match word {
        Word::Committed => {
            app.realtime.replicas.announced.notify_one();
            // What it has committed may wait for a peer, and it may be this replica that sends to it.
            app.relay.wake_all();
        }
        Word::TryNow { peers } => {
            tracing::debug!(?peers, "another replica has peers tried at once");
            app.relay.try_now(&peers);
        }
        Word::Typing(typing) => typing::show(app, typing).await,
        Word::Presence { peer, online, offline } => {
            let source = match peer {
                Some(peer) => presence::Source::Peer(peer),
                None => presence::Source::Replica(from),
            };
            app.realtime.presence.heard(&source, &online, &offline, Instant::now());
        }
    }
}
