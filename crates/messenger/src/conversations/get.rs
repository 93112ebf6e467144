use axum::extract::State;
use shared::id::ConversationId;
use shared::models::Conversation;
use shared::problem::Problem;

use super::view;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PathId};

/// `GET /api/chats/conversations/{id}/`, for its participants.
#[utoipa::path(
    get,
    path = "/{id}",
    tag = "Conversations",
    summary = "Show a conversation",
    description = "For those who take or took part in it.",
    params(("id" = ConversationId, Path, description = "A conversation.")),
    responses(
        (status = 200, description = "The conversation.", body = Conversation),
        (status = 404, description = "The caller does not know of such a conversation."),
    )
)]
pub async fn get(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<ConversationId>,
) -> Result<Json<Conversation>, Problem> {
    let conversation = view::one(&mut app.db.read().await?, id, user.id()).await?;
    conversation.map(Json).ok_or_else(Problem::not_found)
}
