use axum::extract::State;
use serde::Serialize;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::signed::Signed;
use crate::app::AppState;
use crate::http::Json;

/// What has come of a signed request to the peer that asks.
#[derive(Serialize, ToSchema)]
pub struct Reached {
    /// Whether it was taken.
    reachable: bool,
    /// Why not, for an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `GET /relay/v1/reach/`, for a peer that wants to know whether it is reached from here: sends it a signed request, to
/// the address that this app has for it.
#[utoipa::path(
    get,
    path = "/reach",
    tag = "Relay",
    summary = "Try to reach the peer that asks",
    description = "For peers alone. Sends the peer a signed request, at the address that this app has for it, and says what has come of it.",
    security(("service" = [])),
    responses((status = 200, description = "Whether it was reached.", body = Reached))
)]
pub async fn reach(
    State(app): State<AppState>,
    Signed { peer, .. }: Signed,
) -> Result<Json<Reached>, Problem> {
    let client = app.relay.client(&peer).ok_or_else(Problem::not_found)?;
    let reason = client.knock().await.err();
    Ok(Json(Reached { reachable: reason.is_none(), reason }))
}
