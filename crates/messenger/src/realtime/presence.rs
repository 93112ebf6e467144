//! Who is there. A user is while they have a socket, and for a moment after the last of them has gone.
//!
//! Nobody knows it for certain: each process sees its own sockets, hears of the others from its fellow replicas and
//! from the peers, and believes what it has heard for a while. So what dies without a word leaves nobody behind.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::address::AppName;
use shared::id::UserId;
use shared::problem::Problem;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::hub::{Data, Event};
use super::replicas::Word;
use super::store;
use crate::app::App;
use crate::db::Result;

/// How long after their last socket has gone a user is still there; a reconnect is no news.
const GRACE: Duration = Duration::from_secs(5);
/// How often to look.
const TICK: Duration = Duration::from_secs(1);
/// How soon to look again, where many come at once.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is said again who is there.
const REFRESH: Duration = Duration::from_secs(30);
/// How long it is believed.
const BELIEVED: Duration = Duration::from_secs(75);
/// Users of others who are remembered, at most.
const SEEN: usize = 200_000;
/// Users whose acquaintances are looked up at once.
const LOOKED_UP: usize = 50;

/// Who says that somebody is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// This process.
    Here,
    /// Another replica.
    Replica(Uuid),
    /// The app whose user it is.
    Peer(AppName),
}

#[derive(Default)]
struct State {
    /// Who is there, by whose word, and until when that is believed; this process's own word has no end.
    seen: HashMap<UserId, Vec<(Source, Option<Instant>)>>,
    /// Users with a socket in this process, and when they were last seen with one.
    own: HashMap<UserId, Instant>,
    /// Who has come or gone and has not been told of yet.
    changed: HashSet<UserId>,
    /// Of whom each peer has been told that they are there.
    told: HashMap<AppName, HashSet<UserId>>,
}

impl State {
    /// Somebody is there, by a source's word.
    fn saw(&mut self, user: UserId, source: &Source, until: Option<Instant>) {
        if self.seen.len() >= SEEN && !self.seen.contains_key(&user) {
            return;
        }
        let sources = self.seen.entry(user).or_default();
        if sources.is_empty() {
            self.changed.insert(user);
        }
        match sources.iter_mut().find(|(known, _)| known == source) {
            Some(known) => known.1 = until,
            None => sources.push((source.clone(), until)),
        }
    }

    /// A source takes its word back.
    fn lost(&mut self, user: UserId, which: impl Fn(&(Source, Option<Instant>)) -> bool) {
        let Some(sources) = self.seen.get_mut(&user) else { return };
        sources.retain(|source| !which(source));
        if sources.is_empty() {
            self.seen.remove(&user);
            self.changed.insert(user);
        }
    }

    fn expire(&mut self, now: Instant) {
        let over = |(_, until): &(Source, Option<Instant>)| until.is_some_and(|until| until <= now);
        let users: Vec<UserId> =
            self.seen.iter().filter(|(_, s)| s.iter().any(over)).map(|(user, _)| *user).collect();
        for user in users {
            self.lost(user, over);
        }
    }
}

/// Who is there, as far as this process knows.
#[derive(Default)]
pub struct Presence {
    state: Mutex<State>,
    news: Notify,
}

impl Presence {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has opened a socket here.
    pub fn look(&self) {
        self.news.notify_one();
    }

    /// A replica or a peer says who is there and who has gone; of a peer, only its own users may come to this.
    pub fn heard(&self, source: &Source, online: &[UserId], offline: &[UserId], now: Instant) {
        let until = now + BELIEVED;
        let mut state = self.lock();
        for &user in online {
            state.saw(user, source, Some(until));
        }
        for &user in offline {
            state.lost(user, |(known, _)| known == source);
        }
        if !state.changed.is_empty() {
            self.news.notify_one();
        }
    }

    /// Which of the users are known to be there by a source's word.
    pub fn known(&self, source: &Source, users: &[UserId]) -> HashSet<UserId> {
        let state = self.lock();
        let by = |user: &&UserId| {
            state.seen.get(user).is_some_and(|sources| sources.iter().any(|(s, _)| s == source))
        };
        users.iter().filter(by).copied().collect()
    }

    /// Looks at the sockets of this process, and gives who has come and who has gone for good.
    fn own(&self, connected: &[UserId], now: Instant) -> (Vec<UserId>, Vec<UserId>) {
        let mut state = self.lock();
        let mut came = Vec::new();
        for &user in connected {
            if state.own.insert(user, now).is_none() {
                came.push(user);
                state.saw(user, &Source::Here, None);
            }
        }
        let gone = |(_, last): &(&UserId, &Instant)| now.duration_since(**last) >= GRACE;
        let left: Vec<UserId> = state.own.iter().filter(gone).map(|(user, _)| *user).collect();
        for user in &left {
            state.own.remove(user);
            state.lost(*user, |(source, _)| *source == Source::Here);
        }
        (came, left)
    }

    /// Which of the users are there.
    fn online(&self, users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
        let state = self.lock();
        users.into_iter().filter(|user| state.seen.contains_key(user)).collect()
    }
}

/// Looks who is there and tells who wants to know, until `stopping` is cancelled.
pub async fn follow(app: Arc<App>, stopping: CancellationToken) {
    let mut refreshed = Instant::now();
    loop {
        tokio::select! {
            () = app.realtime.presence.news.notified() => {}
            () = tokio::time::sleep(TICK) => {}
            () = stopping.cancelled() => return,
        }
        let now = Instant::now();
        if now.duration_since(refreshed) >= REFRESH {
            refreshed = now;
            refresh(&app);
        }
        if let Err(error) = step(&app, now).await {
            tracing::warn!(%error, "who is there cannot be told");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn step(app: &App, now: Instant) -> Result<()> {
    let presence = &app.realtime.presence;
    let (came, left) = presence.own(&app.realtime.hub.users(), now);
    if !came.is_empty() || !left.is_empty() {
        let word = Word::Presence { peer: None, online: came, offline: left };
        app.realtime.replicas.say(word);
    }
    let changed: Vec<UserId> = {
        let mut state = presence.lock();
        state.expire(now);
        state.changed.drain().collect()
    };
    for some in changed.chunks(LOOKED_UP) {
        tell(app, some).await?;
    }
    Ok(())
}

/// Tells the acquaintances of users whether they are there: those with a socket here, and the peers of the others, for
/// users of this app.
async fn tell(app: &App, users: &[UserId]) -> Result<()> {
    let presence = &app.realtime.presence;
    let online: HashSet<UserId> = presence.online(users.iter().copied()).into_iter().collect();
    let mut conn = app.db.read().await?;
    let acquaintances = store::acquaintances(&mut conn, users).await?;
    drop(conn);
    let mut here: HashMap<UserId, Vec<UserId>> = HashMap::new();
    for acquaintance in acquaintances {
        let user = acquaintance.of;
        if acquaintance.app == app.name {
            here.entry(acquaintance.user).or_default().push(user);
        } else if acquaintance.own {
            let mut state = presence.lock();
            let told = state.told.entry(acquaintance.app.clone()).or_default();
            let is_there = online.contains(&user);
            if if is_there { told.insert(user) } else { told.remove(&user) } {
                app.realtime.signals.presence(&acquaintance.app, user, is_there);
            }
        }
    }
    for listener in app.realtime.hub.connected(here.keys().copied()) {
        let (there, gone) = here
            .remove(&listener)
            .unwrap_or_default()
            .into_iter()
            .partition(|u| online.contains(u));
        app.realtime.hub.mention(&[listener], &event(there, gone));
    }
    Ok(())
}

fn event(mut online: Vec<UserId>, mut offline: Vec<UserId>) -> Arc<Event> {
    for users in [&mut online, &mut offline] {
        users.sort_unstable();
        users.dedup();
    }
    let json = serde_json::json!({ "online": online, "offline": offline }).to_string();
    Arc::new(Event { place: None, name: "presence", data: Data::Json(json.into()) })
}

/// Which acquaintances of a user are there, for a socket that has just been opened.
pub async fn now(app: &App, user: UserId) -> Result<Option<Arc<Event>>, Problem> {
    app.realtime.presence.look();
    let mut conn = app.db.read().await?;
    let acquaintances = store::acquaintances(&mut conn, &[user]).await?;
    drop(conn);
    let online = app.realtime.presence.online(acquaintances.into_iter().map(|other| other.user));
    Ok((!online.is_empty()).then(|| event(online, Vec::new())))
}

/// Says again who is there, to the other replicas and to the peers.
fn refresh(app: &App) {
    let state = app.realtime.presence.lock();
    let own: Vec<UserId> = state.own.keys().copied().collect();
    // Also when there is nobody, as it shows that Redis still passes words on.
    for some in own.chunks(1000).chain(own.is_empty().then_some([].as_slice())) {
        let word = Word::Presence { peer: None, online: some.to_vec(), offline: Vec::new() };
        app.realtime.replicas.say(word);
    }
    for (peer, told) in &state.told {
        for user in told {
            app.realtime.signals.presence(peer, *user, true);
        }
    }
}

/// A peer says who of its users is there and who has gone. Those who are none of its users, or whom nobody here knows,
/// do not count.
pub async fn from_peer(
    app: &App,
    peer: &AppName,
    online: &[UserId],
    offline: &[UserId],
) -> Result<(), Problem> {
    let source = Source::Peer(peer.clone());
    let presence = &app.realtime.presence;
    // Most of it is said again and again, and costs nothing.
    let mut known = presence.known(&source, online);
    let news: Vec<UserId> = online.iter().filter(|user| !known.contains(user)).copied().collect();
    if !news.is_empty() {
        let mut conn = app.db.read().await?;
        known.extend(store::users_of(&mut conn, peer, &news).await?);
    }
    let online: Vec<UserId> = online.iter().filter(|user| known.contains(user)).copied().collect();
    presence.heard(&source, &online, offline, Instant::now());
    let word = Word::Presence { peer: Some(peer.clone()), online, offline: offline.to_vec() };
    app.realtime.replicas.say(word);
    Ok(())
}

#[cfg(test)]
mod tests {
    use shared::time::Timestamp;

    use super::*;

    fn user() -> UserId {
        UserId::mint(Timestamp::from_micros(1_700_000_000_000_000))
    }

    fn changed(presence: &Presence) -> Vec<UserId> {
        presence.lock().changed.drain().collect()
    }

    #[test]
    fn who_comes_back_within_the_grace_has_never_gone() {
        let (presence, alice, start) = (Presence::default(), user(), Instant::now());
        assert_eq!(presence.own(&[alice], start).0, [alice]);
        assert_eq!(changed(&presence), [alice]);
        assert_eq!(presence.own(&[], start + GRACE / 2), (vec![], vec![]));
        assert_eq!(presence.own(&[alice], start + GRACE / 2), (vec![], vec![]));
        assert_eq!(presence.own(&[], start + GRACE * 2).1, [alice]);
        assert_eq!(changed(&presence), [alice]);
        assert!(presence.online([alice]).is_empty());
    }

    #[test]
    fn a_word_is_believed_for_a_while_and_one_of_several_is_enough() {
        let (presence, bob, now) = (Presence::default(), user(), Instant::now());
        let (one, other) =
            (Source::Replica(Uuid::from_u128(1)), Source::Replica(Uuid::from_u128(2)));
        presence.heard(&one, &[bob], &[], now);
        presence.heard(&other, &[bob], &[], now);
        assert_eq!(changed(&presence), [bob]);
        // Nobody takes back the word of another.
        presence.heard(&one, &[], &[bob], now);
        presence.heard(&one, &[], &[bob], now);
        assert!(changed(&presence).is_empty());
        assert_eq!(presence.online([bob]), [bob]);
        presence.lock().expire(now + BELIEVED);
        assert_eq!(changed(&presence), [bob]);
        assert!(presence.online([bob]).is_empty());
    }
}
