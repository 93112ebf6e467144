//! Whether the process lives, and whether it can serve.

use axum::extract::State;
use serde::Serialize;
use shared::problem::Problem;

use crate::app::AppState;
use crate::http::Json;

/// A good answer.
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
}

/// `GET /health/live`: the process answers.
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// `GET /health/ready`: the database answers, has the schema of this release, and was opened with the right keys
/// (without them the app does not start). The peers do not count: an app whose peer is away serves all the same.
pub async fn ready(State(app): State<AppState>) -> Result<Json<Health>, Problem> {
    match app.db.check().await {
        Ok(()) => Ok(Json(Health { status: "ok" })),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Err(Problem::unavailable("not_ready", "The database is not ready.", 1))
        }
    }
}
