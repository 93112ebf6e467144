use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::models::{ConversationKind, Role};
use shared::problem::Problem;
use shared::time::Timestamp;

use super::store::{self, Company};
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
    /// Until when they took part, if they have left.
    pub left_at: Option<Timestamp>,
}

/// Who takes part in a conversation.
#[derive(Debug)]
pub struct Membership {
    kind: ConversationKind,
    ended_at: Option<Timestamp>,
    members: Vec<Member>,
    elsewhere: Arc<[AppName]>,
}

impl Membership {
    /// From what is stored, as seen on the app `own`.
    fn new((kind, ended_at, members): Company, own: &AppName) -> Self {
        let active = members.iter().filter(|member| member.left_at.is_none());
        let mut apps: Vec<_> = active.map(|m| m.app.clone()).filter(|app| app != own).collect();
        apps.sort_unstable();
        apps.dedup();
        Self { kind, ended_at, members, elsewhere: apps.into() }
    }

    /// Two people, or a group.
    pub fn kind(&self) -> ConversationKind {
        self.kind
    }

    /// When it was ended for everybody.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// The member with an id, whether or not they have left.
    pub fn member(&self, user: UserId) -> Option<&Member> {
        self.members.iter().find(|member| member.user == user)
    }

    /// The member with an id, if they still take part.
    pub fn active(&self, user: UserId) -> Option<&Member> {
        self.member(user).filter(|member| member.left_at.is_none())
    }

    /// All apps that have or had somebody in it, this one included.
    pub fn apps(&self) -> BTreeSet<AppName> {
        self.members.iter().map(|member| member.app.clone()).collect()
    }

    /// Who takes part.
    pub fn users(&self) -> impl Iterator<Item = UserId> {
        self.members.iter().filter(|member| member.left_at.is_none()).map(|member| member.user)
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
        if let Some(known) = self.cache.get(&id).await {
            return Ok(known);
        }
        let load = async {
            let mut conn = app.db.read().await?;
            self.load(&mut conn, &app.name, id).await
        };
        Box::pin(self.cache.try_get_with(id, load)).await.map_err(|error| (*error).clone().into())
    }

    /// The same, read through a transaction that may have changed it.
    pub async fn load(
        &self,
        conn: &mut Conn,
        own: &AppName,
        id: ConversationId,
    ) -> Result<Option<Arc<Membership>>, Error> {
        let company = store::company(conn, id).await?;
        Ok(company.map(|company| Arc::new(Membership::new(company, own))))
    }

    /// What is remembered of a conversation, if it is fresh.
    pub async fn remembered(&self, id: ConversationId) -> Option<Arc<Membership>> {
        self.cache.get(&id).await.flatten()
    }

    /// Remembers what has been read of a conversation, and not been changed in the transaction that has read it.
    pub async fn remember(&self, id: ConversationId, membership: Arc<Membership>) {
        self.cache.insert(id, Some(membership)).await;
    }

    /// Forgets a conversation that has just changed.
    pub async fn forget(&self, id: ConversationId) {
        self.cache.invalidate(&id).await;
    }
}
