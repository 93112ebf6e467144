use axum::extract::State;
use shared::models::UserCard;
use shared::problem::Problem;

use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, Params};

/// `GET /api/users/get_by_username/?username=bob` or `bob@app-b`: 200 with the user, or 404.
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
