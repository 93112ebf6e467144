use axum::extract::State;
use serde::Deserialize;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::retry::{Retried, Selection, retry};
use crate::accounts::Admin;
use crate::app::AppState;
use crate::http::Json;

/// Which of the failed messages to send again; without fields, all of them.
#[derive(Deserialize, ToSchema)]
pub struct RetryAll {
    /// Those that have failed for this peer.
    #[schema(example = "app-b")]
    peer: Option<String>,
    /// Those that have failed for this reason.
    #[schema(example = "expired")]
    reason: Option<String>,
}

/// `POST /api/admin/outbox/retry/`, for admins: `{peer?, reason?}`; all messages that have failed are queued again, and the
/// peers tried at once.
#[utoipa::path(
    post,
    path = "/retry",
    operation_id = "retry_outbox",
    tag = "Admin",
    summary = "Retry what has failed",
    description = "Queues all messages again that have failed, or those of one peer or reason, and tries the peers at once, \
        whatever the wait after the last failure. Written to the audit log.",
    request_body = RetryAll,
    responses(
        (status = 200, description = "How many there were.", body = Retried),
        (status = 403, description = "`admins_only`"),
    )
)]
pub async fn retry_all(
    State(app): State<AppState>,
    Admin(admin): Admin,
    Json(body): Json<RetryAll>,
) -> Result<Json<Retried>, Problem> {
    let known = |name: &String| app.relay.peers().into_iter().find(|peer| peer.as_str() == name);
    let peer = match &body.peer {
        None => None,
        Some(name) => {
            let unknown = || Problem::invalid().field("peer", "There is no such peer.");
            Some(known(name).ok_or_else(unknown)?)
        }
    };
    if body.reason.as_ref().is_some_and(|reason| reason.chars().any(char::is_control)) {
        return Err(Problem::invalid().field("reason", "This should be the reason of a failure."));
    }
    let selection = Selection { peer, reason: body.reason, message: None };
    retry(&app, Some(admin.id()), &selection).await.map(Json)
}
