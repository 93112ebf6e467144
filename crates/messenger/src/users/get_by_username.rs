use axum::extract::State;
use shared::models::UserCard;
use shared::problem::Problem;

use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, Params};

/// `GET /api/users/get_by_username/?username=bob` or `bob@app-b`: 200 with the user, or 404.
#[utoipa::path(
    get,
    path = "/get_by_username",
    tag = "Users",
    summary = "Find a user by name",
    description = "A bare username is looked up in this app; an address of the peer is asked of the peer, and remembered briefly.",
    params(("username" = String, Query, description = "`bob` or `bob@app-b`.", example = "bob@app-b", max_length = 512)),
    responses(
        (status = 200, description = "The user, as everybody may see them.", body = UserCard),
        (status = 404, description = "There is no such user."),
        (status = 503, description = "`peer_unavailable`: the user's app cannot be asked just now."),
    )
)]
pub async fn get_by_username(
    State(app): State<AppState>,
    _: CurrentUser,
    params: Params,
) -> Result<Json<UserCard>, Problem> {
    let name = params.get("username").unwrap_or_default();
    if name.is_empty() {
        return Err(Problem::invalid().field("username", "This parameter is required."));
    }
    if name.len() > 512 {
        return Err(Problem::invalid().field("username", "This is too long for a name."));
    }
    let found = app.directory.find_by_name(&app.relay, name).await?;
    found.map(Json).ok_or_else(Problem::not_found)
}
