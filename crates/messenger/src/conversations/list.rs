use axum::extract::State;
use shared::models::{Conversation, Page};
use shared::problem::Problem;

use super::{store, view};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PageParams, PageRequest};

/// `GET /api/chats/conversations/`: the caller's conversations, the latest activity first.
#[utoipa::path(
    get,
    path = "/",
    tag = "Conversations",
    summary = "List the own conversations",
    description = "The latest activity first.",
    params(PageParams),
    responses((status = 200, description = "A page of conversations.", body = Page<Conversation>))
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Page<Conversation>>, Problem> {
    let mut conn = app.db.read().await?;
    let count = store::count_of_user(&mut conn, user.id()).await?;
    let ids = store::page_of_user(&mut conn, user.id(), page.limit(), page.offset()).await?;
    let conversations = view::many(&mut conn, &ids, user.id()).await?;
    page.answer(count, conversations).map(Json)
}
