use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use shared::address::AppName;
use shared::id::{MessageId, UserId};
use shared::models::ConversationKind;
use shared::problem::Problem;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store;
use crate::app::App;
use crate::audit;
use crate::db::{Conn, Result as Stored};
use crate::messages;
use crate::peers;
use crate::realtime;
use crate::receipts::{self, StatusChange};
use crate::relay::{self, EventKind, NewEvent};

/// Messages that one transaction puts back, at most; others wait for it.
const CHUNK: i64 = 500;
/// How long a request goes on with further transactions.
const AT_MOST: Duration = Duration::from_secs(10);

/// Which messages that have failed are to be sent again.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Those that have failed for one peer alone.
    pub peer: Option<AppName>,
    /// Those that have failed for one reason alone.
    pub reason: Option<String>,
    /// One message alone.
    pub message: Option<MessageId>,
}

/// What has been put back.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Retried {
    /// Messages that are queued again.
    #[schema(minimum = 0, example = 1)]
    pub retried: i64,
    /// Messages that are left, as there were too many for one request; ask again.
    #[schema(minimum = 0, example = 0)]
    pub left: i64,
    /// The peers that are being tried now, whatever the wait after the last failure.
    pub peers: Vec<AppName>,
}

/// Queues messages again that have failed, on behalf of an admin or of somebody on the command line, and has their peers
/// tried at once. Only peers of the configuration count.
///
/// Each is sent as a new event behind all others, with the state of its conversation before it, as that may have been
/// given up too. A message of a direct conversation, which nobody but its sender has seen, takes its place among the
/// messages of now: where it stood, its reader may have read on. In a group it keeps its place, as others may have it.
pub async fn retry(
    app: &App,
    actor: Option<UserId>,
    selection: &Selection,
) -> Result<Retried, Problem> {
    let mut peers = app.relay.peers();
    peers.retain(|peer| selection.peer.as_ref().is_none_or(|wanted| wanted == peer));
    let (started, mut retried, mut left) = (Instant::now(), 0, 0);
    for peer in &peers {
        loop {
            let messages = chunk(app, actor, peer, selection).await?;
            let count = i64::try_from(messages.len()).unwrap_or(0);
            retried += count;
            receipts::announce(app, StatusChange::Messages(messages));
            if count < CHUNK {
                break;
            }
            if started.elapsed() > AT_MOST {
                let reason = selection.reason.as_deref();
                let mut conn = app.db.read().await?;
                left += store::count_failures(&mut conn, peer, reason).await?;
                break;
            }
        }
    }
    peers::try_now(app, &peers).await;
    tracing::info!(retried, left, ?peers, "messages that had failed are sent again");
    Ok(Retried { retried, left, peers })
}

/// Puts some messages back for one peer, in one transaction.
async fn chunk(
    app: &App,
    actor: Option<UserId>,
    peer: &AppName,
    selection: &Selection,
) -> Result<Vec<MessageId>, Problem> {
    let (clock, peer) = (app.clock.clone(), peer.clone());
    let (reason, only) = (selection.reason.clone(), selection.message);
    let work = app.db.write(move |conn| {
        Box::pin(async move {
            let found = store::failures(conn, &peer, reason.as_deref(), only, CHUNK).await?;
            let ids: Vec<Uuid> = found.iter().map(|failure| failure.message.uuid()).collect();
            let requeued = messages::requeue(conn, &ids, &peer).await?;
            if requeued.is_empty() {
                return Ok::<_, Problem>(Vec::new());
            }
            let (mut conversations, mut events) = (Vec::new(), Vec::new());
            let trace = Uuid::from_u128(rand::random());
            for failure in found {
                let subject = failure.message.uuid();
                // Somebody else may have been faster.
                if !requeued.contains(&subject) {
                    continue;
                }
                let at = clock.now();
                if failure.kind == ConversationKind::Direct {
                    messages::renew(conn, subject, at).await?;
                }
                let conversation = failure.conversation.uuid();
                if !conversations.contains(&conversation) {
                    conversations.push(conversation);
                    let (kind, subject) = (EventKind::Conversation, conversation);
                    events.push(NewEvent { kind, subject, trace, at });
                }
                events.push(NewEvent { kind: EventKind::Message, subject, trace, at });
            }
            record(conn, actor, &peer, reason.as_deref(), only, requeued.len(), &clock).await?;
            realtime::append_status(conn, &requeued, clock.now()).await?;
            // Last, as the stream stays locked until the commit.
            relay::append(conn, &peer, &events).await?;
            Ok(requeued.into_iter().map(MessageId::from).collect())
        })
    });
    work.await
}

async fn record(
    conn: &mut Conn,
    actor: Option<UserId>,
    peer: &AppName,
    reason: Option<&str>,
    only: Option<MessageId>,
    messages: usize,
    clock: &shared::time::Clock,
) -> Stored<()> {
    let mut details = json!({ "messages": messages });
    if let Some(reason) = reason {
        details["reason"] = json!(reason);
    }
    if let Some(message) = only {
        details["message"] = json!(message);
    }
    audit::record(conn, actor, "outbox.retried", peer.as_str(), details, clock.now()).await
}
