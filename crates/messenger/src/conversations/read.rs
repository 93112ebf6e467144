use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::id::{ConversationId, MessageId};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::store;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PathId, Trace};
use crate::receipts;

#[derive(Deserialize, ToSchema)]
pub struct Read {
    message: MessageId,
}

/// How many messages are left to read.
#[derive(Serialize, ToSchema)]
pub struct Unread {
    unread_count: i64,
}

/// `POST /api/chats/conversations/{id}/read/`: the caller has read everything up to a message; it never goes back.
#[utoipa::path(
    post,
    path = "/{id}/read",
    tag = "Conversations",
    summary = "Mark as read",
    description = "The caller has read everything up to a message. The position never goes back.",
    params(("id" = ConversationId, Path, description = "A conversation.")),
    request_body = Read,
    responses(
        (status = 200, description = "What is left to read.", body = Unread),
        (status = 404, description = "The caller does not know of such a conversation or message."),
    )
)]
pub async fn read(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    PathId(id): PathId<ConversationId>,
    Json(body): Json<Read>,
) -> Result<Json<Unread>, Problem> {
    receipts::read(&app, user.id(), id, body.message, trace.id).await?;
    let unread_count = store::unread(&mut app.db.read().await?, id, user.id()).await?;
    Ok(Json(Unread { unread_count }))
}
