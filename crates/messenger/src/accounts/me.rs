use axum::extract::State;
use shared::models::Profile;
use shared::problem::Problem;

use super::{CurrentUser, store};
use crate::app::AppState;
use crate::http::Json;

/// `GET /api/auth/me/`: the caller's own profile.
#[utoipa::path(
    get,
    path = "/me",
    tag = "Accounts",
    summary = "Show the own profile",
    description = "The caller as they see themselves.",
    responses((status = 200, description = "The profile.", body = Profile))
)]
pub async fn me(State(app): State<AppState>, user: CurrentUser) -> Result<Json<Profile>, Problem> {
    let now = app.clock.wall();
    let account = store::by_session(&mut app.db.read().await?, user.session, now).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    account.profile(&app.accounts.fields).map(Json)
}
