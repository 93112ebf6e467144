use axum::extract::State;
use shared::address::AppName;
use shared::id::MessageId;
use shared::models::{Message, Page, Receipt, Status};
use shared::problem::Problem;
use shared::relay::Progress;

use super::store::{self, Reached};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PageParams, PageRequest, PathId};
use crate::messages;

/// `GET /api/chats/messages/{id}/receipts/`: how far a message has come with each of its recipients, for its sender
/// alone. The times are those of the exact message; where only a later one is known, they are left out.
#[utoipa::path(
    get,
    path = "/{id}/receipts",
    tag = "Messages",
    summary = "Show how far a message has come",
    description = "With each of its recipients, for its sender alone. The times are those of the exact message; \
        where only a later one is known, they are left out.",
    params(("id" = MessageId, Path, description = "A message of the caller's own."), PageParams),
    responses(
        (status = 200, description = "A page of receipts.", body = Page<Receipt>),
        (status = 403, description = "The message is somebody else's."),
        (status = 404, description = "The caller does not know of such a message."),
    )
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<MessageId>,
    page: PageRequest,
) -> Result<Json<Page<Receipt>>, Problem> {
    let mut conn = app.db.read().await?;
    let message = messages::visible(&mut conn, id, user.id()).await?;
    let message = message.ok_or_else(Problem::not_found)?;
    if message.sender.id != user.id() {
        let why = "Only its sender sees how far a message has come.";
        return Err(Problem::forbidden("not_the_sender", why));
    }
    let window = page.window(user.id())?;
    let reached = store::page(&mut conn, id, &window).await?;
    let count = if page.needs_count(reached.len()) {
        Some(store::count(&mut conn, id).await?)
    } else {
        None
    };
    let page = page.answer(&window, count, reached, |reached| reached.user.id)?;
    Ok(Json(page.map(|reached| receipt(&app.name, &message, reached))))
}

fn receipt(own: &AppName, message: &Message, reached: Reached) -> Receipt {
    let Reached { user, delivered, seen, failure, waits } = reached;
    let at = message.created_at;
    let queued = user.app != *own && waits;
    let status = if failure.is_some() {
        Status::Failed
    } else if seen.to >= at {
        Status::Read
    } else if delivered.to >= at {
        Status::Delivered
    } else if queued {
        Status::Queued
    } else {
        Status::Relayed
    };
    // A register knows of its last move alone.
    let exact =
        |progress: Progress| (progress.from < at && at <= progress.to).then_some(progress.at);
    let (delivered_at, read_at) = match status {
        Status::Failed => (None, None),
        _ => (exact(delivered), exact(seen)),
    };
    Receipt { user, status, delivered_at, read_at, status_reason: failure }
}
