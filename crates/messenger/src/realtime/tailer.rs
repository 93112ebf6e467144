use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use shared::id::{MessageId, UserId};
use shared::models::Message;
use shared::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::audience::Listener;
use super::cursor::Cursor;
use super::entry::{Entry, EventKind};
use super::hub::{Data, Dispatch, Event};
use super::store;
use crate::app::App;
use crate::db::{Conn, Error};
use crate::{messages, receipts};

/// How often to look for what nobody has announced: the commits of another replica, say.
const POLL: Duration = Duration::from_secs(1);
/// How soon to look again at rows that another transaction may still precede; it doubles up to [`POLL`].
const UNSETTLED: Duration = Duration::from_millis(2);
/// Rows read at once, at most.
pub const BATCH: i64 = 128;

/// Follows the log and hands what happens to the sockets, until `stopping` is cancelled. It reads nothing while there
/// are no sockets.
pub async fn tail(app: Arc<App>, stopping: CancellationToken) {
    let realtime = &app.realtime;
    let mut unsettled = UNSETTLED;
    while !stopping.is_cancelled() {
        let wait = match step(&app).await {
            Ok(Step::Further) => continue,
            Ok(Step::Settled) => {
                unsettled = UNSETTLED;
                POLL
            }
            Ok(Step::Unsettled) => {
                unsettled = (unsettled * 2).min(POLL);
                unsettled
            }
            Err(error) => {
                tracing::warn!(%error, "the event log cannot be read");
                POLL
            }
        };
        // A notification that comes while nobody waits is kept, so none is missed between reading and waiting.
        tokio::select! {
            () = app.db.commits().notified() => realtime.replicas.announce(),
            () = realtime.replicas.announced() => {}
            () = tokio::time::sleep(wait) => {}
            () = stopping.cancelled() => {}
        }
    }
}

enum Step {
    /// There may be more to read.
    Further,
    /// All has been read.
    Settled,
    /// There are rows that another transaction may still precede.
    Unsettled,
}

async fn step(app: &App) -> Result<Step, Error> {
    let hub = &app.realtime.hub;
    let Some(from) = hub.go_on() else {
        app.realtime.audiences.forget();
        return Ok(Step::Settled);
    };
    let mut conn = app.db.read().await?;
    let tail = store::after(&mut conn, from, BATCH).await?;
    let (entries, unsettled) = (tail.entries, tail.unsettled);
    let Some(last) = entries.last().map(|entry| entry.place) else {
        return Ok(if unsettled { Step::Unsettled } else { Step::Settled });
    };
    let mut audience = Vec::with_capacity(entries.len());
    for entry in &entries {
        let listeners = app.realtime.audiences.follow(&mut conn, entry).await?;
        let connected = hub.connected(listeners.iter().map(|listener| listener.user));
        let here = |listener: &&Listener| connected.contains(&listener.user);
        audience.push((*entry, listeners.iter().filter(here).copied().collect()));
    }
    let events = events(app, &mut conn, audience).await?;
    drop(conn);
    hub.dispatch(from, last, &events);
    Ok(Step::Further)
}

/// What to tell whom of rows of the log and those who may hear of them.
pub async fn events(
    app: &App,
    conn: &mut Conn,
    audience: Vec<(Entry, Vec<Listener>)>,
) -> Result<Vec<Dispatch>, Error> {
    let views = Views::load(conn, &audience).await?;
    let mut dispatches = Vec::with_capacity(audience.len());
    for (entry, listeners) in audience {
        let mut told: Vec<(EventKind, bool, Vec<UserId>)> = Vec::new();
        for listener in &listeners {
            let message = views.of(&entry, listener.user);
            let written = message.map(|message| message.created_at);
            if !listener.hears(&entry, written) {
                continue;
            }
            if let Some(message) = message.filter(|_| entry.kind == EventKind::MessageCreated) {
                receipts::delivered(app, listener.user, [message]);
            }
            let kind = listener.kind(&entry);
            let own = message.is_some_and(|message| message.sender.id == listener.user);
            match told.iter_mut().find(|(known, of_own, _)| (*known, *of_own) == (kind, own)) {
                Some((.., users)) => users.push(listener.user),
                None => told.push((kind, own, vec![listener.user])),
            }
        }
        for (kind, _, users) in told {
            let message = users.first().and_then(|user| views.of(&entry, *user));
            let Some(data) = data(&entry, message)? else { continue };
            let event = Event { place: Some(entry.place), name: kind.name(), data };
            dispatches.push(Dispatch { event: Arc::new(event), users });
        }
    }
    Ok(dispatches)
}

/// Messages as those see them who hear of them: its sender, to whom its status is that of all recipients, and the
/// others, who all see what one of them sees.
struct Views(HashMap<MessageId, Vec<(UserId, Message)>>);

impl Views {
    async fn load(conn: &mut Conn, audience: &[(Entry, Vec<Listener>)]) -> Result<Self, Error> {
        let mut views = Self(HashMap::new());
        let mut wanted: HashMap<UserId, BTreeSet<MessageId>> = HashMap::new();
        for (entry, listeners) in audience {
            // One of two is not the sender.
            for listener in listeners.iter().take(2) {
                wanted.entry(listener.user).or_default().extend(entry.message());
            }
        }
        views.add(conn, wanted).await?;
        let mut wanted: HashMap<UserId, BTreeSet<MessageId>> = HashMap::new();
        for (entry, listeners) in audience {
            let Some(known) = entry.message().and_then(|id| views.0.get(&id)) else { continue };
            let Some((_, message)) = known.first() else { continue };
            let sender = message.sender.id;
            let listens = listeners.iter().any(|listener| listener.user == sender);
            if listens && known.iter().all(|(user, _)| *user != sender) {
                wanted.entry(sender).or_default().insert(message.id);
            }
        }
        views.add(conn, wanted).await?;
        Ok(views)
    }

    async fn add(
        &mut self,
        conn: &mut Conn,
        wanted: HashMap<UserId, BTreeSet<MessageId>>,
    ) -> Result<(), Error> {
        for (user, ids) in wanted {
            let ids: Vec<MessageId> = ids.into_iter().collect();
            for message in messages::by_ids(conn, &ids, user).await? {
                self.0.entry(message.id).or_default().push((user, message));
            }
        }
        Ok(())
    }

    /// The message of a row as a user sees it.
    fn of(&self, entry: &Entry, user: UserId) -> Option<&Message> {
        let views = self.0.get(&entry.message()?)?;
        let own = views.iter().find(|(viewer, _)| *viewer == user);
        let other = || views.iter().find(|(viewer, message)| *viewer != message.sender.id);
        own.or_else(other).map(|(_, message)| message)
    }
}

/// `None` if there is nothing to tell, as the message is not there.
fn data(entry: &Entry, message: Option<&Message>) -> Result<Option<Data>, Error> {
    match (entry.kind, message) {
        (EventKind::ConversationCreated | EventKind::ConversationUpdated, _) => {
            Ok(Some(Data::Conversation(entry.conversation)))
        }
        (_, Some(message)) => {
            let json = serde_json::to_string(message).map_err(|e| Error::Value(e.to_string()))?;
            Ok(Some(Data::Json(json.into())))
        }
        (_, None) => Ok(None),
    }
}

/// What a user has missed between two places of the log, at most [`BATCH`] rows of it, and the place up to which that is
/// all.
pub async fn missed(
    app: &App,
    user: UserId,
    after: Cursor,
    until: Cursor,
) -> Result<(Vec<Dispatch>, Cursor), Problem> {
    let mut conn = app.db.read().await?;
    let entries = store::of_user(&mut conn, user, after, until, BATCH).await?;
    let full = entries.len() >= usize::try_from(BATCH).unwrap_or(0);
    let reached = entries.last().filter(|_| full).map_or(until, |entry| entry.place);
    let mut audience = Vec::with_capacity(entries.len());
    for entry in entries {
        let listeners = app.realtime.audiences.of(&mut conn, entry.conversation).await?;
        let own = listeners.iter().filter(|listener| listener.user == user).copied().collect();
        audience.push((entry, own));
    }
    Ok((events(app, &mut conn, audience).await?, reached))
}
