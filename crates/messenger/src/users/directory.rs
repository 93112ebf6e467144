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

    /// The user that an id, a username of this app or an address names.
    pub async fn find(&self, relay: &Relay, name: &str) -> Result<Option<UserCard>, Problem> {
        match name.parse::<UserId>() {
            Ok(id) => Ok(store::by_id(&mut self.db.read().await?, id).await?),
            Err(_) => self.find_by_name(relay, name).await,
        }
    }

    /// The user that a username of this app or an address names. 503 if only an unreachable peer knows.
    pub async fn find_by_name(
        &self,
        relay: &Relay,
        name: &str,
    ) -> Result<Option<UserCard>, Problem> {
        let address = if name.contains('@') {
            name.parse::<Address>().ok()
        } else {
            let username = name.parse::<Username>().ok();
            username.map(|username| Address { username, app: self.own.clone() })
        };
        let Some(address) = address else { return Ok(None) };
        if address.app == self.own {
            let key = address.username.key();
            return Ok(store::by_name(&mut self.db.read().await?, self.own.as_str(), &key).await?);
        }
        let Some(peer) = relay.client(&address.app) else { return Ok(None) };
        let asked = self.answers.try_get_with(address.key(), self.ask(peer, &address)).await;
        match asked {
            Ok(answer) => Ok(answer),
            Err(problem) => {
                // The peer cannot be asked, but may have been before.
                let key = address.username.key();
                let mut conn = self.db.read().await?;
                let known = store::by_name(&mut conn, address.app.as_str(), &key).await?;
                known.map(Some).ok_or_else(|| (*problem).clone())
            }
        }
    }

    async fn ask(&self, peer: &PeerClient, address: &Address) -> Result<Option<UserCard>, Problem> {
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
