use axum::extract::State;
use shared::id::MessageId;
use shared::models::Message;
use shared::problem::Problem;

use super::view;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PathId};
use crate::receipts;

/// `GET /api/chats/messages/{id}/`, for the participants of its conversation.
#[utoipa::path(
    get,
    path = "/{id}",
    tag = "Messages",
    summary = "Show a message",
    description = "For the participants of its conversation.",
    params(("id" = MessageId, Path, description = "A message.")),
    responses(
        (status = 200, description = "The message.", body = Message),
        (status = 404, description = "The caller does not know of such a message."),
    )
)]
pub async fn get(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<MessageId>,
) -> Result<Json<Message>, Problem> {
    let found = view::find(&mut app.db.read().await?, id, user.id()).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    if !found.delivered {
        receipts::delivered(&app, user.id(), [&found.message]);
    }
    Ok(Json(found.message))
}
