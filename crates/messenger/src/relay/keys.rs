use axum::extract::State;
use shared::problem::Problem;
use shared::relay::Keys;

use super::signed::Signed;
use crate::app::AppState;
use crate::http::Json;
use crate::keys;

/// `GET /relay/v1/keys/`, for a peer: the names of the keys that this process holds.
#[utoipa::path(
    get,
    path = "/keys",
    tag = "Relay",
    summary = "The names of this app's keys",
    description = "For peers alone. The names of the keys that this app holds, the sealing one first, and which of them messages are sealed with.",
    security(("service" = [])),
    responses((status = 200, description = "The names.", body = Object))
)]
pub async fn keys(State(app): State<AppState>, _: Signed) -> Result<Json<Keys>, Problem> {
    let mut conn = app.db.read().await?;
    let mut in_use = Vec::new();
    for key in &app.keys {
        if keys::message_exists(&mut conn, *key).await? {
            in_use.push(*key);
        }
    }
    Ok(Json(Keys { ring: app.keys.clone(), in_use }))
}
