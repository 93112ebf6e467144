use axum::extract::State;
use shared::problem::Problem;

use super::entry::{Entry, EntryId};
use super::retry::{Retried, Selection, retry};
use super::store;
use crate::accounts::Admin;
use crate::app::AppState;
use crate::http::{Json, PathId};
use crate::peers;

/// `POST /api/admin/outbox/{id}/retry/`, for admins: a message that has failed is queued again; the peer of anything is
/// tried at once.
#[utoipa::path(
    post,
    path = "/{id}/retry",
    operation_id = "retry_outbox_entry",
    tag = "Admin",
    summary = "Retry one entry",
    description = "Queues a message again that has failed; what is waiting already stays where it is. Either way its peer is \
        tried at once, whatever the wait after the last failure. Written to the audit log.",
    params(("id" = String, Path, description = "An entry of the outbox.", example = "app-b:1042")),
    responses(
        (status = 200, description = "What has been done.", body = Retried),
        (status = 403, description = "`admins_only`"),
        (status = 404, description = "There is no such entry, or no longer."),
    )
)]
pub async fn retry_one(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(EntryId { peer, what }): PathId<EntryId>,
) -> Result<Json<Retried>, Problem> {
    match what {
        Entry::Waiting(seq) => {
            if !store::is_waiting(&mut app.db.read().await?, &peer, seq).await? {
                return Err(Problem::not_found());
            }
            let peers = vec![peer];
            peers::try_now(&app, &peers).await;
            Ok(Json(Retried { retried: 0, left: 0, peers }))
        }
        Entry::Failed(message) => {
            let selection =
                Selection { peer: Some(peer), message: Some(message), ..Selection::default() };
            let retried = retry(&app, Some(admin.id()), &selection).await?;
            if retried.retried == 0 {
                return Err(Problem::not_found());
            }
            Ok(Json(retried))
        }
    }
}
