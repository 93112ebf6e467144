use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket};
use futures::SinkExt;
use shared::encryption::FrameOpener;
use shared::problem::Problem;
use shared::relay::Typing;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite;
use uuid::Uuid;

use super::allowance::Allowance;
use super::cursor::Cursor;
use super::frames::{ClientFrame, frame};
use super::hub::{Data, Event, Goodbye, Item, Seat};
use super::{presence, store, tailer, typing};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::conversations;
use crate::receipts;

/// Bytes of a frame that a client sends, at most.
const MAX_FRAME: usize = 16 * 1024;
/// Bytes of a frame that are read at most, to be able to say that it is too large.
pub const MAX_READ: usize = 128 * 1024;
/// How long a client may take to take in what it is sent; then its reader is too slow.
const STALL: Duration = Duration::from_secs(10);
/// How long a client may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(3);
/// Frames that a client may send at once.
const BURST: f64 = 100.0;
/// Frames that a client may send each second for long.
const RATE: f64 = 20.0;
/// Frames of a burst that are written before anything else is looked at.
const WRITES: usize = 32;

/// Where a socket begins in the log.
#[derive(Clone, Copy, Debug)]
pub enum Beginning {
    /// With what happens from now on, after this place.
    Now(Cursor),
    /// After a place that the client names.
    After(Cursor),
    /// After a place that the client names but that is none.
    Unknown,
}

/// Serves one socket to its end.
pub async fn run(
    app: AppState,
    user: CurrentUser,
    seat: Seat,
    socket: WebSocket,
    opener: FrameOpener,
    beginning: Beginning,
) {
    metrics::gauge!("messaging_sockets").increment(1);
    let cursor = Cursor { seq: 0, at: shared::time::Timestamp::from_micros(0) };
    let allowance = Allowance::new(BURST, RATE);
    let mut connection = Connection { app, user, seat, socket, opener, cursor, allowance };
    // A socket waits most of its life. What it does meanwhile has its room only while it is done: `Box::pin` everywhere.
    let end = match Box::pin(connection.welcome(beginning)).await {
        Ok(()) => connection.serve().await,
        Err(end) => end,
    };
    let reason = Box::pin(connection.close(end)).await;
    metrics::gauge!("messaging_sockets").decrement(1);
    metrics::counter!("messaging_sockets_closed_total", "reason" => reason).increment(1);
}

/// How a socket ends.
enum End {
    /// This side closes it.
    Closed(Goodbye),
    /// The client has closed it, or is gone.
    Gone,
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        tracing::warn!(%problem, "a socket cannot go on");
        Self::Closed(Goodbye::Failed)
    }
}

struct Connection {
    app: AppState,
    user: CurrentUser,
    seat: Seat,
    socket: WebSocket,
    opener: FrameOpener,
    /// The place of the last event of the log that was sent.
    cursor: Cursor,
    allowance: Allowance,
}

impl Connection {
    /// Brings the client up to date.
    async fn welcome(&mut self, beginning: Beginning) -> Result<(), End> {
        self.begin(beginning).await?;
        self.greet().await
    }

    /// Tells the client what it has missed, and lets it hear what happens from now on.
    async fn begin(&mut self, beginning: Beginning) -> Result<(), End> {
        match beginning {
            Beginning::Now(place) => {
                self.cursor = place;
                return Ok(());
            }
            Beginning::After(place) if self.knows(place).await? => {
                self.cursor = place;
            }
            Beginning::After(_) | Beginning::Unknown => {
                self.cursor = self.go_live()?;
                let reason = r#"{"reason":"unknown_cursor"}"#;
                return self.write(vec![frame(self.cursor, "resync", Some(reason))]).await;
            }
        }
        // First without listening to what happens meanwhile, which may be much, and then the rest.
        let live = loop {
            let until = self.app.realtime.hub.position().ok_or(End::Gone)?;
            if self.replay(until).await? {
                break self.go_live()?;
            }
        };
        while !self.replay(live).await? {}
        Ok(())
    }

    /// Tells the client who is there.
    async fn greet(&mut self) -> Result<(), End> {
        let event = {
            let _turn = self.app.realtime.replays.acquire().await.map_err(|_| End::Gone)?;
            presence::now(&self.app, self.user.id()).await?
        };
        match event {
            Some(event) => self.tell(&[&event]).await,
            None => Ok(()),
        }
    }

    async fn knows(&mut self, place: Cursor) -> Result<bool, End> {
        let _turn = self.app.realtime.replays.acquire().await.map_err(|_| End::Gone)?;
        let mut conn = self.app.db.read().await.map_err(Problem::from)?;
        Ok(store::is_there(&mut conn, place).await.map_err(Problem::from)?)
    }

    fn go_live(&self) -> Result<Cursor, End> {
        // Without a place in the hub, the reason is waiting.
        self.app.realtime.hub.go_live(&self.seat).ok_or(End::Gone)
    }

    /// Sends some of what happened up to a place; whether that was all.
    async fn replay(&mut self, until: Cursor) -> Result<bool, End> {
        if self.cursor >= until {
            return Ok(true);
        }
        let (missed, reached) = {
            // So many at once that reading leaves the others room.
            let _turn = self.app.realtime.replays.acquire().await.map_err(|_| End::Gone)?;
            tailer::missed(&self.app, self.user.id(), self.cursor, until).await?
        };
        for part in missed.chunks(WRITES) {
            let events: Vec<_> = part.iter().map(|dispatch| &*dispatch.event).collect();
            self.tell(&events).await?;
        }
        self.cursor = reached;
        Ok(reached == until)
    }

    async fn serve(&mut self) -> End {
        loop {
            let next = tokio::select! {
                biased;
                goodbye = &mut self.seat.closed => return goodbye.map_or(End::Gone, End::Closed),
                item = self.seat.queue.recv() => Next::Item(item),
                frame = self.socket.recv() => Next::Frame(frame),
            };
            let done = match next {
                Next::Item(Some(item)) => Box::pin(self.send(item)).await,
                // The hub has let go of the socket, and says why.
                Next::Item(None) => {
                    return (&mut self.seat.closed).await.map_or(End::Gone, End::Closed);
                }
                Next::Frame(Some(Ok(frame))) => Box::pin(self.hear(frame)).await,
                Next::Frame(Some(Err(error))) => Err(broken(error)),
                Next::Frame(None) => Err(End::Gone),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Sends an item, and what waits behind it.
    async fn send(&mut self, first: Item) -> Result<(), End> {
        let mut items = vec![first];
        while items.len() < WRITES
            && let Ok(item) = self.seat.queue.try_recv()
        {
            items.push(item);
        }
        let mut events = Vec::with_capacity(items.len());
        for item in &items {
            match item {
                Item::Event(event) => {
                    self.seat.pulse.sent(event);
                    events.push(&**event);
                }
                Item::CatchUp(until) => {
                    self.tell(&std::mem::take(&mut events)).await?;
                    while !self.replay(*until).await? {}
                }
                Item::Heartbeat => {}
            }
        }
        self.tell(&events).await?;
        if items.iter().any(|item| matches!(item, Item::Heartbeat)) {
            self.put(Frame::Ping(bytes::Bytes::new())).await?;
        }
        Ok(())
    }

    /// Sends events; the place of each is that of its frame.
    async fn tell(&mut self, events: &[&Event]) -> Result<(), End> {
        let mut frames = Vec::with_capacity(events.len());
        for event in events {
            if let Some(place) = event.place {
                self.cursor = place;
            }
            match &event.data {
                Data::Json(json) => frames.push(frame(self.cursor, event.name, Some(json))),
                Data::Conversation(id) => {
                    let mut conn = self.app.db.read().await.map_err(Problem::from)?;
                    let view = conversations::one(&mut conn, *id, self.user.id()).await;
                    if let Some(conversation) = view.map_err(Problem::from)? {
                        let json = serde_json::to_string(&conversation).map_err(|error| {
                            tracing::error!(%error, "a conversation does not serialise");
                            Problem::internal()
                        })?;
                        frames.push(frame(self.cursor, event.name, Some(&json)));
                    }
                }
            }
            metrics::counter!("messaging_socket_events_total", "type" => event.name).increment(1);
        }
        self.write(frames).await
    }

    /// Opens frames and writes them.
    async fn write(&mut self, frames: Vec<String>) -> Result<(), End> {
        let Self { socket, opener, seat, .. } = self;
        let writing = async {
            for frame in frames {
                let text = opener.open(frame).into_text();
                socket.feed(Frame::Text(text.into())).await?;
            }
            socket.flush().await
        };
        tokio::select! {
            biased;
            written = timeout(STALL, writing) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => Err(End::Closed(Goodbye::TooSlow)),
            },
            goodbye = &mut seat.closed => Err(goodbye.map_or(End::Gone, End::Closed)),
        }
    }

    async fn put(&mut self, frame: Frame) -> Result<(), End> {
        match timeout(STALL, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Closed(Goodbye::TooSlow)),
        }
    }

    /// Does what a client asks for.
    async fn hear(&mut self, frame: Frame) -> Result<(), End> {
        self.seat.pulse.beat();
        if !matches!(frame, Frame::Pong(_)) && !self.allowance.take(Instant::now()) {
            return Err(End::Closed(Goodbye::TooMany));
        }
        match frame {
            Frame::Text(text) if text.len() > MAX_FRAME => Err(End::Closed(Goodbye::TooLarge)),
            Frame::Text(text) => self.answer(&text).await,
            Frame::Binary(_) => Err(End::Closed(Goodbye::Binary)),
            // The library answers pings and closes.
            Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) => Ok(()),
        }
    }

    async fn answer(&mut self, text: &str) -> Result<(), End> {
        let done = match ClientFrame::parse(text) {
            Ok(ClientFrame::Ping) => {
                return self.write(vec![frame(self.cursor, "pong", None)]).await;
            }
            Ok(ClientFrame::Typing { conversation, active }) => {
                let typing = Typing { conversation, user: self.user.id(), active };
                typing::typing(&self.app, typing).await
            }
            Ok(ClientFrame::Read { conversation, message }) => {
                let (reader, trace) = (self.user.id(), Uuid::from_u128(rand::random()));
                receipts::read(&self.app, reader, conversation, message, trace).await
            }
            Err(problem) => Err(problem),
        };
        let Err(problem) = done else { return Ok(()) };
        let data = serde_json::json!({ "code": problem.code(), "detail": problem.detail() });
        self.write(vec![frame(self.cursor, "error", Some(&data.to_string()))]).await
    }

    /// Says goodbye, if there is something to say, and gives the reason for the statistics.
    async fn close(mut self, end: End) -> &'static str {
        // A reason that came while something else ended it is the better one.
        let end = match (end, self.seat.closed.try_recv()) {
            (End::Gone, Ok(goodbye)) => End::Closed(goodbye),
            (end, Ok(_) | Err(TryRecvError::Empty | TryRecvError::Closed)) => end,
        };
        let End::Closed(goodbye) = end else { return "gone" };
        let (code, reason, label) = goodbye.spoken();
        if goodbye != Goodbye::Silent {
            let frame = Frame::Close(Some(CloseFrame { code, reason: reason.into() }));
            let farewell = async {
                if self.socket.send(frame).await.is_ok() {
                    // Until the client has closed its side too; else what it has not read may be lost with the connection.
                    while let Some(Ok(_)) = self.socket.recv().await {}
                }
            };
            let _ = timeout(FAREWELL, farewell).await;
        }
        label
    }
}

enum Next {
    Item(Option<Item>),
    Frame(Option<Result<Frame, axum::Error>>),
}

impl Goodbye {
    /// The close code, what is said with it, and the name in the statistics.
    fn spoken(self) -> (u16, String, &'static str) {
        let (code, reason, label) = match self {
            Self::SessionEnded => (4401, "The session has ended.", "session_ended"),
            Self::TooSlow => (4408, "Too slow; resume with the last cursor.", "too_slow"),
            Self::Stopping => {
                // Not all at once, where they are many.
                let wait: u32 = rand::random_range(0..3000);
                return (1001, format!("Shutting down; reconnect after {wait} ms."), "stopping");
            }
            Self::Silent => (1001, "", "silent"),
            Self::TooLarge => (1009, "A frame has at most 16 KiB.", "too_large"),
            Self::Binary => (1003, "Frames are text.", "binary"),
            Self::TooMany => (1008, "Too many frames.", "too_many"),
            Self::Failed => (1011, "Resume with the last cursor.", "failed"),
        };
        (code, reason.to_owned(), label)
    }
}

/// What a failed read comes to.
fn broken(error: axum::Error) -> End {
    let error = error.into_inner().downcast::<tungstenite::Error>();
    match error.as_deref() {
        Ok(tungstenite::Error::Capacity(_)) => End::Closed(Goodbye::TooLarge),
        _ => End::Gone,
    }
}
