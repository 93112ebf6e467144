use axum::extract::State;
use http::StatusCode;
use shared::id::MessageId;
use shared::problem::Problem;

use super::edit::own;
use super::store;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{PathId, Trace};
use crate::realtime::{self, EventKind, NewEntry};
use crate::relay;

/// `DELETE /api/chats/messages/{id}/`, by the sender alone: the row stays, its text goes. Deleting twice is a success.
#[utoipa::path(
    delete,
    path = "/{id}",
    tag = "Messages",
    summary = "Delete a message",
    description = "By its sender alone. The message stays, its text goes. Deleting twice is a success.",
    params(("id" = MessageId, Path, description = "A message.")),
    responses(
        (status = 204, description = "Its text is gone."),
        (status = 403, description = "`not_the_sender`, or `not_a_participant` any more."),
        (status = 404, description = "The caller does not know of such a message."),
    )
)]
pub async fn delete(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    PathId(id): PathId<MessageId>,
) -> Result<StatusCode, Problem> {
    let message = own(&app, &user, id).await?;
    let peers = app.memberships.of(&app, message.conversation).await?;
    let peers = peers.map(|membership| membership.elsewhere().clone()).unwrap_or_default();
    let (events, now, conversation) = (peers.clone(), app.clock.now(), message.conversation);
    app.db
        .write(move |conn| {
            Box::pin(async move {
                if store::delete(conn, id, now).await? {
                    let kind = EventKind::MessageDeleted;
                    let entry = NewEntry::message(kind, conversation, id, now);
                    realtime::append(conn, &[entry]).await?;
                    relay::append_change(conn, &events, id, trace.id, now).await?;
                }
                Ok::<_, Problem>(())
            })
        })
        .await?;
    app.relay.wake(&peers);
    Ok(StatusCode::NO_CONTENT)
}
