use axum::extract::State;
use shared::id::ConversationId;
use shared::models::{Message, Page};
use shared::problem::Problem;

use super::store;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PageRequest, PathId};

/// `GET /api/chats/messages/`: the newest first, of all the caller's conversations or of `?conversation=`.
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Page<Message>>, Problem> {
    let only = page.params().parse("conversation", "This should be a UUID.")?;
    let mut conn = app.db.read().await?;
    let (count, messages) = match only {
        Some(id) => (
            store::count_in(&mut conn, id, user.id()).await?,
            store::page_in(&mut conn, id, user.id(), page.limit(), page.offset()).await?,
        ),
        None => (
            store::count_all(&mut conn, user.id()).await?,
            store::page_all(&mut conn, user.id(), page.limit(), page.offset()).await?,
        ),
    };
    page.answer(count, messages).map(Json)
}

/// `GET /api/chats/conversations/{id}/messages/`: the newest first; 404 for who has never taken part.
pub async fn list_in(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<ConversationId>,
    page: PageRequest,
) -> Result<Json<Page<Message>>, Problem> {
    let mut conn = app.db.read().await?;
    if !store::takes_part(&mut conn, id, user.id()).await? {
        return Err(Problem::not_found());
    }
    let count = store::count_in(&mut conn, id, user.id()).await?;
    let messages = store::page_in(&mut conn, id, user.id(), page.limit(), page.offset()).await?;
    page.answer(count, messages).map(Json)
}
