use axum::extract::State;
use shared::id::MessageId;
use shared::models::Message;
use shared::problem::Problem;

use super::store;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PathId};

/// `GET /api/chats/messages/{id}/`, for the participants of its conversation.
pub async fn get(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<MessageId>,
) -> Result<Json<Message>, Problem> {
    let message = store::visible(&mut app.db.read().await?, id, user.id()).await?;
    message.map(Json).ok_or_else(Problem::not_found)
}
