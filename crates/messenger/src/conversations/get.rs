use axum::extract::State;
use shared::id::ConversationId;
use shared::models::Conversation;
use shared::problem::Problem;

use super::view;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PathId};

/// `GET /api/chats/conversations/{id}/`, for its participants.
pub async fn get(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<ConversationId>,
) -> Result<Json<Conversation>, Problem> {
    let conversation = view::one(&mut app.db.read().await?, id, user.id()).await?;
    conversation.map(Json).ok_or_else(Problem::not_found)
}
