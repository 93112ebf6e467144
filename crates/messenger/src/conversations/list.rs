use axum::extract::State;
use shared::models::{Conversation, Page};
use shared::problem::Problem;

use super::{store, view};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PageParams, PageRequest};

/// `GET /api/chats/conversations/`: the caller's conversations, the latest activity first. With a cursor, what happens
/// between two pages moves none of them.
#[utoipa::path(
    get,
    path = "/",
    tag = "Conversations",
    summary = "List the own conversations",
    description = "The latest activity first. With a cursor, what happens between two pages moves none of them.",
    params(PageParams),
    responses((status = 200, description = "A page of conversations.", body = Page<Conversation>))
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Page<Conversation>>, Problem> {
    let window = page.window(user.id())?;
    let mut conn = app.db.read().await?;
    let now = app.clock.now();
    let rows = store::page_of_user(&mut conn, user.id(), &window, now).await?;
    let count = if page.needs_count(rows.len()) {
        Some(store::count_of_user(&mut conn, user.id()).await?)
    } else {
        None
    };
    let page = page.answer(&window, count, rows, |key| *key)?;
    let Page { count, next, previous, results } = page;
    let ids: Vec<_> = results.into_iter().map(|(_, id, _)| id).collect();
    let results = view::many(&mut conn, &ids, user.id()).await?;
    Ok(Json(Page { count, next, previous, results }))
}
