use axum::RequestExt;
use axum::extract::{Request, State};
use shared::address::Username;
use shared::models::UserCard;
use shared::problem::Problem;

use super::signed::Signed;
use crate::app::AppState;
use crate::http::{Json, Params};
use crate::users;

/// `GET /relay/v1/users/?username=bob`: this app's user with a name, as everybody may see them, for a peer.
#[utoipa::path(
    get,
    path = "/users",
    tag = "Relay",
    summary = "Look up a user of this app",
    description = "For peers alone.",
    security(("service" = [])),
    params(("username" = String, Query, description = "A username of this app.")),
    responses(
        (status = 200, description = "The user.", body = UserCard),
        (status = 404, description = "There is no such user."),
    )
)]
pub async fn users(
    State(app): State<AppState>,
    mut request: Request,
) -> Result<Json<UserCard>, Problem> {
    let params: Params = request.extract_parts().await?;
    let _: Signed = request.extract_with_state(&app).await?;
    let name = params.get("username").and_then(|name| name.parse::<Username>().ok());
    let name =
        name.ok_or_else(|| Problem::invalid().field("username", "This should be a username."))?;
    let found = users::by_name(&mut app.db.read().await?, app.name.as_str(), &name.key()).await?;
    found.map(Json).ok_or_else(Problem::not_found)
}
