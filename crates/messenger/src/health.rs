//! Whether the process lives, and whether it can serve.

use axum::extract::State;
use serde::Serialize;
use shared::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::db;
use crate::http::Json;

/// The routes under `/health`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(live)).routes(routes!(ready))
}

/// A good answer.
#[derive(Serialize, ToSchema)]
pub struct Health {
    #[schema(examples("ok"))]
    status: &'static str,
}

/// `GET /health/live`: the process answers.
#[utoipa::path(
    get,
    path = "/live",
    tag = "Health",
    summary = "Whether the process answers",
    security(()),
    responses((status = 200, description = "It does.", body = Health))
)]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// `GET /health/ready`: the database answers, has the schema of this release and, if it is SQLite, room on its disk, and
/// was opened with the right keys (without them the app does not start). The peers do not count: an app whose peer is
/// away serves all the same.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "Health",
    summary = "Whether the app can serve",
    description = "The database answers, has the schema of this release and, if it is SQLite, room on its disk, and was opened with the right keys. The peers do not count.",
    security(()),
    responses(
        (status = 200, description = "It can.", body = Health),
        (status = 503, description = "`not_ready`: the database is not ready, or its disk is full."),
    )
)]
pub async fn ready(State(app): State<AppState>) -> Result<Json<Health>, Problem> {
    match app.db.check().await.and_then(|()| app.db.check_room()) {
        Ok(()) => Ok(Json(Health { status: "ok" })),
        Err(error @ db::Error::Full) => {
            tracing::warn!(%error, "not ready");
            Err(Problem::unavailable("not_ready", "The disk of the database is full.", 1))
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Err(Problem::unavailable("not_ready", "The database is not ready.", 1))
        }
    }
}
