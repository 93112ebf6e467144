use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::address::AppName;
use shared::id::{SessionId, UserId};
use shared::models::{AccountRole, Profile};
use shared::problem::Problem;
use shared::time::Timestamp;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::{self, Account};
use super::{Admin, admins_only};
use crate::app::AppState;
use crate::db::Conn;
use crate::http::{Json, PathId, Trace};
use crate::{audit, relay, users};

/// What an admin may change of an account.
#[derive(Clone, Copy, Deserialize, ToSchema)]
pub struct Administration {
    role: Option<AccountRole>,
    is_active: Option<bool>,
}

/// `PATCH /api/users/{id}/`, for admins: sets `role` or `is_active` of a user of this app.
///
/// Deactivating ends all sessions of the user at once. 403 `own_role` for one's own role, 404 for users of peers, 409
/// `last_admin` if no active admin would be left.
#[utoipa::path(
    patch,
    path = "/{id}",
    tag = "Users",
    summary = "Change role or activity of a user",
    description = "For admins, and users of this app. Deactivating ends all sessions of the user at once; they are not found any more, and what they have written stays.",
    params(("id" = UserId, Path, description = "A user of this app.")),
    request_body = Administration,
    responses(
        (status = 200, description = "The user as they are now.", body = Profile),
        (status = 403, description = "`admins_only`; `own_role`: nobody sets their own role."),
        (status = 404, description = "There is no such user of this app."),
        (status = 409, description = "`last_admin`: no active admin would be left."),
    )
)]
pub async fn administer(
    State(app): State<AppState>,
    Admin(admin): Admin,
    trace: Trace,
    PathId(id): PathId<UserId>,
    Json(body): Json<Administration>,
) -> Result<Json<Profile>, Problem> {
    let (now, peers) = (app.clock.now(), app.relay.peers());
    let order = Order { by: admin.id(), of: id, body, peers: peers.clone(), trace: trace.id, now };
    let done = app.db.write(move |conn| Box::pin(async move { order.carry_out(conn).await }));
    let (account, stale) = done.await?;
    for session in stale {
        app.accounts.sessions.forget(session).await;
    }
    app.relay.wake(&peers);
    tracing::info!(
        admin = %admin.id(), user = %id, role = ?account.role, active = account.is_active,
        "administered an account"
    );
    account.profile(&app.accounts.fields).map(Json)
}

/// One change of an account by an admin.
struct Order {
    by: UserId,
    of: UserId,
    body: Administration,
    peers: Vec<AppName>,
    trace: Uuid,
    now: Timestamp,
}

impl Order {
    /// Gives the account as it is then, and the sessions of which something else has been remembered.
    async fn carry_out(&self, conn: &mut Conn) -> Result<(Account, Vec<SessionId>), Problem> {
        let Self { of, now, body: Administration { role, is_active }, .. } = *self;
        let admins = store::lock_admins(conn).await?;
        // Who has been demoted a moment ago may still be remembered as an admin.
        if !admins.contains(&self.by) {
            return Err(admins_only());
        }
        users::touch(conn, of, now).await?;
        let account = store::by_id(conn, of).await?.ok_or_else(Problem::not_found)?;
        let role = role.filter(|role| *role != account.role);
        let is_active = is_active.filter(|active| *active != account.is_active);
        if role.is_some() && of == self.by {
            return Err(Problem::forbidden("own_role", "Nobody sets their own role."));
        }
        let leaves = role == Some(AccountRole::User) || is_active == Some(false);
        if leaves && admins == [of] {
            let why = "This is the last active admin; make another one first.";
            return Err(Problem::conflict("last_admin", why));
        }
        let mut stale = Vec::new();
        if let Some(role) = role {
            store::set_role(conn, of, role).await?;
            stale.extend(store::living(conn, of, now).await?.into_iter().map(|device| device.id));
            let details = json!({ "old": account.role, "new": role });
            self.record(conn, "user.role_changed", details).await?;
        }
        if let Some(active) = is_active {
            users::set_active(conn, of, active).await?;
            if !active {
                stale.extend(store::end_sessions(conn, of, None, now).await?);
            }
            let action = if active { "user.activated" } else { "user.deactivated" };
            self.record(conn, action, json!({})).await?;
            relay::append_user(conn, &self.peers, of, self.trace, now).await?;
        }
        let account = store::by_id(conn, of).await?.ok_or_else(Problem::not_found)?;
        Ok((account, stale))
    }

    async fn record(
        &self,
        conn: &mut Conn,
        action: &'static str,
        details: Value,
    ) -> Result<(), Problem> {
        let subject = self.of.to_string();
        Ok(audit::record(conn, Some(self.by), action, &subject, details, self.now).await?)
    }
}
