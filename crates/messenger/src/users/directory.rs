use std::time::Duration;

use moka::future::Cache;
use shared::address::{Address, AppName, Username};
use shared::id::UserId;
use shared::models::UserCard;
use shared::problem::Problem;
use shared::time::Clock;

use super::store;
use crate::db::Db;
use crate::relay::{PeerClient, Relay};

/// How long an answer of a peer is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// Answers remembered, at most.
const REMEMBERED: u64 = 10_000;

/// Finds users by whatever names them, and asks their own app where that is a peer.
pub struct Directory {
    own: AppName,
    db: Db,
    clock: Clock,
    answers: Cache<String, Option<UserCard>>,
}

impl Directory {
    /// The directory of an app.
    pub fn new(own: &AppName, db: &Db, clock: &Clock) -> Self {
        let answers = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build();
        Self { own: own.clone(), db: db.clone(), clock: clock.clone(), answers }
    }

    /// The user that an id, a username of this app or an address names. A peer is only asked for whom this app has
    /// never met, so that nobody waits for it when writing to an acquaintance.
    pub async fn find(&self, relay: &Relay, name: &str) -> Result<Option<UserCard>, Problem> {
        match (self.find_known(name).await?, self.address(name)) {
            (None, Some(address)) => self.ask(relay, &address).await,
            (known, _) => Ok(known),
        }
    }

    /// The user that an id, a username of this app or an address names, if this app has met them.
    pub async fn find_known(&self, name: &str) -> Result<Option<UserCard>, Problem> {
        match (name.parse::<UserId>(), self.address(name)) {
            (Ok(id), _) => Ok(store::by_id(&mut self.db.read().await?, id).await?),
            (Err(_), Some(address)) => self.known(&address).await,
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
            Err(problem) => self.known(&address).await?.map(Some).ok_or(problem),
        }
    }

    fn address(&self, name: &str) -> Option<Address> {
        if name.contains('@') {
            return name.parse().ok();
        }
        let username: Username = name.parse().ok()?;
        Some(Address { username, app: self.own.clone() })
    }

    async fn known(&self, address: &Address) -> Result<Option<UserCard>, Problem> {
        let mut conn = self.db.read().await?;
        Ok(store::by_name(&mut conn, address.app.as_str(), &address.username.key()).await?)
    }

    /// What the user's own app says; its answer is believed for a while.
    async fn ask(&self, relay: &Relay, address: &Address) -> Result<Option<UserCard>, Problem> {
        if address.app == self.own {
            return self.known(address).await;
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
        let Some(user) = peer.user(&address.username).await? else { return Ok(None) };
        if user.address().key() != address.key() {
            tracing::warn!(peer = %address.app, "the peer answered with another user than was asked for");
            return Err(Problem::unavailable(
                "peer_unavailable",
                "The other app gave a wrong answer.",
                5,
            ));
        }
        let now = self.clock.now();
        let adopt = self
            .db
            .write(move |conn| Box::pin(async move { store::adopt(conn, &user, true, now).await }));
        Ok(adopt.await?)
    }
}
