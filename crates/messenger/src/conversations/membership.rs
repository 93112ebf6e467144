use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::models::Role;
use shared::problem::Problem;

use super::store;
use crate::app::App;
use crate::db::{Conn, Error, Result};

/// How long a replica may go on believing what it has read about a conversation.
const BELIEVED: Duration = Duration::from_secs(1);
/// Conversations remembered, at most.
const REMEMBERED: u64 = 20_000;

/// One person in a conversation.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// The app of their account.
    pub app: AppName,
    /// What they may do.
    pub role: Role,
    /// Whether they still take part.
    pub active: bool,
}

/// Who takes part in a conversation.
#[derive(Debug)]
pub struct Membership {
    members: Vec<Member>,
    elsewhere: Arc<[AppName]>,
}

impl Membership {
    /// From its members, as seen on the app `own`.
    pub fn new(members: Vec<Member>, own: &AppName) -> Self {
        let active = members.iter().filter(|member| member.active);
        let mut apps: Vec<_> = active.map(|m| m.app.clone()).filter(|app| app != own).collect();
        apps.sort_unstable();
        apps.dedup();
        Self { members, elsewhere: apps.into() }
    }

    /// The member with an id, if they still take part.
    pub fn active(&self, user: UserId) -> Option<&Member> {
        self.members.iter().find(|member| member.user == user && member.active)
    }

    /// The member with an id, whether or not they still take part.
    pub fn member(&self, user: UserId) -> Option<&Member> {
        self.members.iter().find(|member| member.user == user)
    }

    /// All apps that have or had somebody in it, this one included.
    pub fn apps(&self) -> BTreeSet<AppName> {
        self.members.iter().map(|member| member.app.clone()).collect()
    }

    /// The other apps that have somebody in it: where its messages go.
    pub fn elsewhere(&self) -> &Arc<[AppName]> {
        &self.elsewhere
    }
}

/// Memberships, each read at most once a second; a change here is seen at once.
pub struct Memberships {
    cache: Cache<ConversationId, Option<Arc<Membership>>>,
}

impl Default for Memberships {
    fn default() -> Self {
        Self { cache: Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build() }
    }
}

impl Memberships {
    /// Who takes part in a conversation; `None` if there is no such conversation.
    pub async fn of(
        &self,
        app: &App,
        id: ConversationId,
    ) -> Result<Option<Arc<Membership>>, Problem> {
        let load = async {
            let mut conn = app.db.read().await?;
            self.load(&mut conn, &app.name, id).await
        };
        self.cache.try_get_with(id, load).await.map_err(|error| (*error).clone().into())
    }

    /// The same, read through a transaction that may have changed it.
    pub async fn load(
        &self,
        conn: &mut Conn,
        own: &AppName,
        id: ConversationId,
    ) -> Result<Option<Arc<Membership>>, Error> {
        let members = store::members(conn, id).await?;
        Ok((!members.is_empty()).then(|| Arc::new(Membership::new(members, own))))
    }

    /// What is remembered of a conversation, if it is fresh.
    pub async fn remembered(&self, id: ConversationId) -> Option<Arc<Membership>> {
        self.cache.get(&id).await.flatten()
    }

    /// Forgets a conversation that has just changed.
    pub async fn forget(&self, id: ConversationId) {
        self.cache.invalidate(&id).await;
    }
}
