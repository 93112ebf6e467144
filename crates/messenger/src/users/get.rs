use axum::extract::State;
use serde::Serialize;
use shared::id::UserId;
use shared::models::{AccountRole, Profile, UserCard};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::store;
use crate::accounts::{self, CurrentUser};
use crate::app::AppState;
use crate::http::{Json, PathId};

/// A user, as much of them as the caller may see.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ShownUser)]
pub enum Shown {
    /// Oneself, or for an admin a user of this app.
    Full(Box<Profile>),
    /// Anybody else.
    Card(UserCard),
}

/// `GET /api/users/{id}/`: a user of this app, or one of a peer whom this app has met. 404 for anybody else, and for
/// those who have been deactivated; an admin still sees those of this app.
#[utoipa::path(
    get,
    path = "/{id}",
    tag = "Users",
    summary = "Show a user",
    description = "A user of this app, or one of a peer whom this app has met. Oneself, and for an admin the users of this app, in full.",
    params(("id" = UserId, Path, description = "A user.")),
    responses(
        (status = 200, description = "The user.", body = Shown),
        (status = 404, description = "There is no such user, or they have been deactivated."),
    )
)]
pub async fn get(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<UserId>,
) -> Result<Json<Shown>, Problem> {
    let mut conn = app.db.read().await?;
    if user.id() == id || user.role() == AccountRole::Admin {
        let profile = accounts::profiles(&app, &mut conn, &[id]).await?.pop();
        if let Some(profile) = profile {
            return Ok(Json(Shown::Full(Box::new(profile))));
        }
    }
    let found = store::state(&mut conn, id).await?.filter(|state| state.is_active);
    found.map(|state| Json(Shown::Card(state.user))).ok_or_else(Problem::not_found)
}
