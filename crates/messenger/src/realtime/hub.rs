//! Which sockets are open in this process, and what waits for each. There is only ciphertext in here.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::{ConversationId, SessionId, UserId};
use shared::problem::Problem;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::cursor::Cursor;

/// Sockets of one user, at most.
const SOCKETS_OF_USER: usize = 16;
/// Sockets of one process, at most.
const SOCKETS: usize = 20_000;
/// Events that wait for one socket, at most; one whose reader is slower is closed.
const QUEUE: usize = 256;
/// Bytes of the events that wait for one socket, at most, but for a single one.
const QUEUE_BYTES: usize = 1024 * 1024;
/// In how many parts the sockets are looked at, one each second: how many seconds lie between two heartbeats.
pub const PARTS: u64 = 30;

/// What waits for a socket.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event.
    Event(Arc<Event>),
    /// Time to read from the log what happened up to a place.
    CatchUp(Cursor),
    /// Time to ask whether the client is still there.
    Heartbeat,
}

/// Something to tell a client, its content sealed.
#[derive(Debug)]
pub struct Event {
    /// Its place in the log, if it has one.
    pub place: Option<Cursor>,
    /// What clients call it.
    pub name: &'static str,
    /// What it is about.
    pub data: Data,
}

/// What an event is about.
#[derive(Debug)]
pub enum Data {
    /// JSON that is the same for everybody.
    Json(Box<str>),
    /// A conversation, which looks different to each of its participants; it is read when it is sent.
    Conversation(ConversationId),
}

impl Event {
    fn size(&self) -> usize {
        match &self.data {
            Data::Json(json) => json.len(),
            Data::Conversation(_) => 0,
        }
    }
}

/// An event of the log and who hears of it.
pub struct Dispatch {
    /// The event.
    pub event: Arc<Event>,
    /// Who, of those with a socket here.
    pub users: Vec<UserId>,
}

/// Why a socket is closed by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// Its session has ended.
    SessionEnded,
    /// Its reader is too slow.
    TooSlow,
    /// The process is about to end.
    Stopping,
    /// Nothing has been heard from it since the last heartbeat.
    Silent,
    /// A frame is larger than is accepted.
    TooLarge,
    /// A frame is binary.
    Binary,
    /// There are too many frames.
    TooMany,
    /// This side cannot go on.
    Failed,
}

/// What the hub and the task of a socket share.
#[derive(Debug)]
pub struct Pulse {
    heard: AtomicBool,
    waiting: AtomicUsize,
}

impl Pulse {
    /// The client has been heard.
    pub fn beat(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// An event has left the queue.
    pub fn sent(&self, event: &Event) {
        self.waiting.fetch_sub(event.size(), Ordering::Relaxed);
    }
}

struct Socket {
    id: u64,
    session: SessionId,
    /// Whether it hears what happens now, or is still being told what it has missed.
    live: bool,
    queue: mpsc::Sender<Item>,
    close: oneshot::Sender<Goodbye>,
    pulse: Arc<Pulse>,
}

impl Socket {
    /// `false` if its reader is too slow.
    fn offer(&self, item: Item) -> bool {
        if let Item::Event(event) = &item {
            let waiting = self.pulse.waiting.fetch_add(event.size(), Ordering::Relaxed);
            if waiting > 0 && waiting + event.size() > QUEUE_BYTES {
                return false;
            }
        }
        self.queue.try_send(item).is_ok()
    }
}

#[derive(Default)]
struct State {
    /// Up to where what has happened has been handed to the sockets; `None` while there are none.
    position: Option<Cursor>,
    users: HashMap<UserId, Vec<Socket>>,
    /// The sockets that have come since the position was last looked at to go on from it. Who hears of what comes next was
    /// found out without them.
    newcomers: Vec<(UserId, u64)>,
    /// Seats that are taken: those that are being closed still count.
    count: usize,
    stopping: bool,
}

/// All sockets of this process.
#[derive(Default)]
pub struct Hub {
    state: Mutex<State>,
    next: AtomicU64,
}

/// The place of one socket in the hub; the socket leaves with it.
pub struct Seat {
    hub: Arc<Hub>,
    id: u64,
    pub user: UserId,
    pub queue: mpsc::Receiver<Item>,
    pub closed: oneshot::Receiver<Goodbye>,
    pub pulse: Arc<Pulse>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.remove(self.user, |socket| socket.id == self.id);
        state.count -= 1;
        if state.count == 0 {
            state.position = None;
        }
    }
}

impl State {
    fn remove(&mut self, user: UserId, which: impl Fn(&Socket) -> bool) -> Vec<Socket> {
        let Some(sockets) = self.users.get_mut(&user) else { return Vec::new() };
        let removed: Vec<_> = sockets.extract_if(.., |socket| which(socket)).collect();
        if sockets.is_empty() {
            self.users.remove(&user);
        }
        removed
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a socket, which hears what happens from now on if it is `live`. `newest` is where the log ends, for
    /// when this is the first socket; it may be left out if there are others.
    ///
    /// Gives where the log stands for it; `None` if `newest` is needed.
    pub fn admit(
        self: &Arc<Self>,
        user: UserId,
        session: SessionId,
        live: bool,
        newest: Option<Cursor>,
    ) -> Result<Option<(Seat, Cursor)>, Problem> {
        let mut state = self.lock();
        if state.stopping || state.count >= SOCKETS {
            return Err(Problem::unavailable("busy", "There is no room for another socket.", 5));
        }
        if state.users.get(&user).is_some_and(|sockets| sockets.len() >= SOCKETS_OF_USER) {
            let why = "There are too many sockets of this user; close one.";
            let status = http::StatusCode::TOO_MANY_REQUESTS;
            return Err(Problem::new(status, "too_many_sockets", why).retry_after(30));
        }
        let Some(position) = state.position.or(newest) else { return Ok(None) };
        state.position = Some(position);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (queue, items) = mpsc::channel(QUEUE);
        let (close, closed) = oneshot::channel();
        let pulse =
            Arc::new(Pulse { heard: AtomicBool::new(true), waiting: AtomicUsize::default() });
        let socket = Socket { id, session, live, queue, close, pulse: pulse.clone() };
        state.users.entry(user).or_default().push(socket);
        state.newcomers.push((user, id));
        state.count += 1;
        let seat = Seat { hub: self.clone(), id, user, queue: items, closed, pulse };
        Ok(Some((seat, position)))
    }

    /// Lets a socket hear what happens from now on, and gives where the log stands for it.
    pub fn go_live(&self, seat: &Seat) -> Option<Cursor> {
        let mut state = self.lock();
        let position = state.position;
        let sockets = state.users.get_mut(&seat.user)?;
        sockets.iter_mut().find(|socket| socket.id == seat.id)?.live = true;
        position
    }

    /// Up to where what has happened has been handed to the sockets; `None` if there are none.
    pub fn position(&self) -> Option<Cursor> {
        self.lock().position
    }

    /// The same, to go on from there with [`Hub::dispatch`]: whoever comes in between reads the log by themselves.
    pub fn go_on(&self) -> Option<Cursor> {
        let mut state = self.lock();
        state.newcomers.clear();
        state.position
    }

    /// How many sockets there are.
    pub fn count(&self) -> usize {
        self.lock().count
    }

    /// Everybody who has a socket here.
    pub fn users(&self) -> Vec<UserId> {
        self.lock().users.keys().copied().collect()
    }

    /// Which of the users have a socket here.
    pub fn connected(&self, users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
        let state = self.lock();
        users.into_iter().filter(|user| state.users.contains_key(user)).collect()
    }

    /// Hands what has happened between two places to the sockets of those who hear of it. Nothing is done if the
    /// position is no longer the first place; then all sockets have left meanwhile, and others have come.
    pub fn dispatch(&self, from: Cursor, to: Cursor, events: &[Dispatch]) {
        let mut state = self.lock();
        if state.position != Some(from) {
            return;
        }
        state.position = Some(to);
        let newcomers = std::mem::take(&mut state.newcomers);
        let mut slow = Vec::new();
        for (user, id) in &newcomers {
            let sockets = state.users.get(user).into_iter().flatten();
            for socket in sockets.filter(|socket| socket.live && socket.id == *id) {
                if !socket.offer(Item::CatchUp(to)) {
                    slow.push((*user, *id));
                }
            }
        }
        state.close_all(&std::mem::take(&mut slow), Goodbye::TooSlow);
        let newcomers: HashSet<u64> = newcomers.into_iter().map(|(_, id)| id).collect();
        let hears = |socket: &&Socket| socket.live && !newcomers.contains(&socket.id);
        for Dispatch { event, users } in events {
            for user in users {
                for socket in state.users.get(user).into_iter().flatten().filter(hears) {
                    if !socket.offer(Item::Event(event.clone())) {
                        slow.push((*user, socket.id));
                    }
                }
            }
            if !slow.is_empty() {
                // Nothing may reach them after what they have missed.
                state.close_all(&std::mem::take(&mut slow), Goodbye::TooSlow);
            }
        }
    }

    /// Tells users something that is not kept; who is slow misses it. Half of each queue is left to what is kept.
    pub fn mention(&self, users: &[UserId], event: &Arc<Event>) {
        let state = self.lock();
        let hears = |socket: &&Socket| socket.live && socket.queue.capacity() > QUEUE / 2;
        for user in users {
            for socket in state.users.get(user).into_iter().flatten().filter(hears) {
                if !socket.offer(Item::Event(event.clone())) {
                    socket.pulse.sent(event);
                }
            }
        }
    }

    /// Asks one part of the sockets whether their clients are still there, closes those that have not been heard since
    /// they were last asked, and gives the sessions of the others.
    pub fn heartbeat(&self, part: u64) -> HashSet<Uuid> {
        let mut state = self.lock();
        let (mut silent, mut sessions) = (Vec::new(), HashSet::new());
        for (user, sockets) in &state.users {
            for socket in sockets.iter().filter(|socket| socket.id % PARTS == part) {
                if socket.pulse.heard.swap(false, Ordering::Relaxed) {
                    // If its queue is full, it is about to be closed for that.
                    socket.offer(Item::Heartbeat);
                    sessions.insert(socket.session.uuid());
                } else {
                    silent.push((*user, socket.id));
                }
            }
        }
        state.close_all(&silent, Goodbye::Silent);
        sessions
    }

    /// Closes the sockets of sessions that have ended.
    pub fn end_sessions(&self, ended: impl IntoIterator<Item = (SessionId, UserId)>) {
        let mut state = self.lock();
        for (session, user) in ended {
            for socket in state.remove(user, |socket| socket.session == session) {
                let _ = socket.close.send(Goodbye::SessionEnded);
            }
        }
    }

    /// Closes those sockets of a part whose sessions are not among the living.
    pub fn keep_sessions(&self, part: u64, asked: &HashSet<Uuid>, living: &HashSet<SessionId>) {
        let ended: Vec<_> = {
            let state = self.lock();
            let sockets = state.users.iter().flat_map(|(user, s)| s.iter().map(|s| (*user, s)));
            sockets
                .filter(|(_, socket)| socket.id % PARTS == part)
                .filter(|(_, socket)| asked.contains(&socket.session.uuid()))
                .filter(|(_, socket)| !living.contains(&socket.session))
                .map(|(user, socket)| (socket.session, user))
                .collect()
        };
        self.end_sessions(ended);
    }

    /// Closes all sockets, and lets no others in.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        for socket in std::mem::take(&mut state.users).into_values().flatten() {
            let _ = socket.close.send(Goodbye::Stopping);
        }
    }
}

impl State {
    fn close_all(&mut self, sockets: &[(UserId, u64)], why: Goodbye) {
        for &(user, id) in sockets {
            for socket in self.remove(user, |socket| socket.id == id) {
                let _ = socket.close.send(why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::time::Timestamp;

    use super::*;

    fn place(seq: i64) -> Cursor {
        Cursor { seq, at: Timestamp::from_micros(seq) }
    }

    fn come(hub: &Arc<Hub>, user: u128, live: bool) -> Seat {
        let (user, session) = (Uuid::from_u128(user).into(), Uuid::from_u128(1).into());
        hub.admit(user, session, live, Some(place(1))).unwrap().unwrap().0
    }

    #[test]
    fn who_comes_after_it_was_found_out_who_hears_is_told_to_read_the_log() {
        let hub = Arc::new(Hub::default());
        let mut early = come(&hub, 1, true);
        let from = hub.go_on().unwrap();
        let (mut late, mut again) = (come(&hub, 2, true), come(&hub, 1, true));
        let mut reading = come(&hub, 2, false);
        let data = Data::Json("{}".into());
        let event = Arc::new(Event { place: Some(place(2)), name: "message.created", data });
        hub.dispatch(from, place(2), &[Dispatch { event, users: vec![early.user] }]);
        assert!(matches!(early.queue.try_recv(), Ok(Item::Event(_))));
        for seat in [&mut late, &mut again] {
            assert!(matches!(seat.queue.try_recv(), Ok(Item::CatchUp(until)) if until == place(2)));
            assert!(seat.queue.try_recv().is_err());
        }
        assert!(reading.queue.try_recv().is_err(), "it learns of the place when it goes live");
        assert_eq!(hub.go_live(&reading), Some(place(2)));
    }
    #[test]
    fn what_is_not_kept_leaves_room_for_what_is() {
        let hub = Arc::new(Hub::default());
        let seat = come(&hub, 1, true);
        let event = |place, name| Arc::new(Event { place, name, data: Data::Json("{}".into()) });
        for _ in 0..2 * QUEUE {
            hub.mention(&[seat.user], &event(None, "presence"));
        }
        for seq in 2..10 {
            let from = hub.go_on().unwrap();
            let event = event(Some(place(seq)), "message.created");
            hub.dispatch(from, place(seq), &[Dispatch { event, users: vec![seat.user] }]);
        }
        assert_eq!(seat.queue.len(), QUEUE / 2 + 8, "it has been closed, or filled up");
    }
}
