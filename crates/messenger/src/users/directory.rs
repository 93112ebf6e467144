use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use shared::address::{Address, AppName, Username};
use shared::id::UserId;
use shared::models::UserCard;
use shared::problem::Problem;
use shared::relay::{UserList, UserState};
use shared::time::Clock;

use super::query::UserQuery;
use super::{merge, store};
use crate::db::{Db, Error};
use crate::relay::{PeerClient, Relay};

/// How long an answer of a peer is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// Answers remembered, at most.
const REMEMBERED: u64 = 10_000;
/// How long the answer of a peer to a search is believed, and how long a peer that has not answered is left alone.
const SEARCH_BELIEVED: Duration = Duration::from_secs(5);
/// Users in remembered answers to searches, at most.
const SEARCH_REMEMBERED: u64 = 50_000;

/// Finds users by whatever names them, and asks their own app where that is a peer.
pub struct Directory {
    own: AppName,
    db: Db,
    clock: Clock,
    answers: Cache<String, Option<UserCard>>,
    searches: Cache<(AppName, UserQuery), Option<Arc<UserList>>>,
}

impl Directory {
    /// The directory of an app.
    pub fn new(own: &AppName, db: &Db, clock: &Clock) -> Self {
        let answers = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build();
        let weight = |_: &_, list: &Option<Arc<UserList>>| {
            let users = list.as_ref().map_or(0, |list| list.results.len());
            u32::try_from(users).unwrap_or(u32::MAX).saturating_add(1)
        };
        let searches = Cache::builder().max_capacity(SEARCH_REMEMBERED).weigher(weight);
        let searches = searches.time_to_live(SEARCH_BELIEVED).build();
        Self { own: own.clone(), db: db.clone(), clock: clock.clone(), answers, searches }
    }

    /// The active user that an id, a username of this app or an address names. A peer is only asked for whom this
    /// app has never met, so that nobody waits for it when writing to an acquaintance.
    pub async fn find(&self, relay: &Relay, name: &str) -> Result<Option<UserCard>, Problem> {
        let known = match (name.parse::<UserId>(), self.address(name)) {
            (Ok(id), _) => store::state(&mut self.db.read().await?, id).await?,
            (Err(_), Some(address)) => match self.known(&address).await? {
                Some(known) => Some(known),
                None => return self.ask(relay, &address).await,
            },
            (Err(_), None) => None,
        };
        Ok(known.filter(|known| known.is_active).map(|known| known.user))
    }

    /// The user that an id, a username of this app or an address names, if this app has met them, active or not.
    pub async fn find_known(&self, name: &str) -> Result<Option<UserCard>, Problem> {
        match (name.parse::<UserId>(), self.address(name)) {
            (Ok(id), _) => Ok(store::by_id(&mut self.db.read().await?, id).await?),
            (Err(_), Some(address)) => Ok(self.known(&address).await?.map(|known| known.user)),
            (Err(_), None) => Ok(None),
        }
    }

    /// The user that a username of this app or an address names, by the latest word of their own app. 503 if only
    /// an unreachable peer knows.
    pub async fn find_by_name(
        &self,
        relay: &Relay,
        name: &str,
    ) -> Result<Option<UserCard>, Problem> {
        let Some(address) = self.address(name) else { return Ok(None) };
        match self.ask(relay, &address).await {
            Ok(answer) => Ok(answer),
            // The peer cannot be asked, but may have been before.
            Err(problem) => match self.known(&address).await? {
                Some(known) => Ok(known.is_active.then_some(known.user)),
                None => Err(problem),
            },
        }
    }

    fn address(&self, name: &str) -> Option<Address> {
        if name.contains('@') {
            return name.parse().ok();
        }
        let username: Username = name.parse().ok()?;
        Some(Address { username, app: self.own.clone() })
    }

    async fn known(&self, address: &Address) -> Result<Option<UserState>, Problem> {
        let (app, name) = (address.app.as_str(), address.username.key());
        Ok(store::state_by_name(&mut self.db.read().await?, app, &name).await?)
    }

    /// Forgets the peer's last answer about a user of whom there is news.
    pub async fn forget(&self, user: &Address) {
        self.answers.invalidate(&user.key()).await;
    }

    /// Those of a peer's users that a query finds; `None` if the peer does not answer.
    pub async fn search(
        &self,
        relay: &Relay,
        peer: &AppName,
        query: &UserQuery,
    ) -> Option<Arc<UserList>> {
        let client = relay.client(peer)?;
        let query = UserQuery { role: None, is_active: Some(true), ..query.clone() };
        let key = (peer.clone(), query.clone());
        self.searches.get_with(key, async { client.search(&query).await.map(Arc::new) }).await
    }

    /// Makes the acquaintance of users whom their own apps have listed, so that they can be named by their ids, and
    /// gives them as known from now on. Those whose id or name is somebody else's are left out.
    pub async fn meet(&self, listed: Vec<UserState>) -> Result<Vec<UserState>, Problem> {
        let ids: Vec<_> = listed.iter().map(|state| state.user.id).collect();
        let known = store::states(&mut self.db.read().await?, &ids).await?;
        let known: HashMap<_, _> = known.into_iter().map(|state| (state.user.id, state)).collect();
        let unknown = |state: &&UserState| {
            state.user.app != self.own
                && known.get(&state.user.id).is_none_or(|k| k.user != state.user || !k.is_active)
        };
        let news: Vec<_> = listed.iter().filter(unknown).cloned().collect();
        if news.is_empty() {
            return Ok(listed);
        }
        let now = self.clock.now();
        let heard = self.db.write(move |conn| {
            Box::pin(async move {
                let mut heard = HashMap::new();
                for state in news {
                    heard.insert(state.user.id, merge::hear(conn, &state, now).await?);
                }
                Ok::<_, Error>(heard)
            })
        });
        let mut heard = heard.await?;
        let met = |state: UserState| match heard.remove(&state.user.id) {
            Some(heard) => heard.filter(|heard| heard.is_active),
            None => Some(state),
        };
        Ok(listed.into_iter().filter_map(met).collect())
    }

    /// What the user's own app says; its answer is believed for a while.
    async fn ask(&self, relay: &Relay, address: &Address) -> Result<Option<UserCard>, Problem> {
        if address.app == self.own {
            let known = self.known(address).await?.filter(|known| known.is_active);
            return Ok(known.map(|known| known.user));
        }
        let Some(peer) = relay.client(&address.app) else { return Ok(None) };
        let answer = self.answers.try_get_with(address.key(), self.ask_peer(peer, address));
        answer.await.map_err(|problem| (*problem).clone())
    }

    async fn ask_peer(
        &self,
        peer: &PeerClient,
        address: &Address,
    ) -> Result<Option<UserCard>, Problem> {
        let Some(state) = peer.user(&address.username).await? else { return Ok(None) };
        if state.user.address().key() != address.key() {
            tracing::warn!(peer = %address.app, "the peer answered with another user than was asked for");
            return Err(Problem::unavailable(
                "peer_unavailable",
                "The other app gave a wrong answer.",
                5,
            ));
        }
        let now = self.clock.now();
        let hear = self
            .db
            .write(move |conn| Box::pin(async move { merge::hear(conn, &state, now).await }));
        Ok(hear.await?.filter(|heard| heard.is_active).map(|heard| heard.user))
    }
}
