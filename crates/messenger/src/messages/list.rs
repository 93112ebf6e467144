use axum::extract::State;
use shared::id::ConversationId;
use shared::models::{Message, Page};
use shared::problem::Problem;

use super::filter::{Filter, FilterParams};
use super::store;
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::http::{Json, PageParams, PageRequest, PathId};
use crate::search::Search;

/// `GET /api/chats/messages/`: the messages of all the caller's conversations, by default the newest first.
#[utoipa::path(
    get,
    path = "/",
    tag = "Messages",
    summary = "List messages",
    description = "Of all the caller's conversations, by default the newest first.",
    params(PageParams, FilterParams),
    responses(
        (status = 200, description = "A page of messages.", body = Page<Message>),
        (status = 503, description = "`search_behind`: the search has not caught up with the messages yet."),
    )
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    search: Search,
    page: PageRequest,
) -> Result<Json<Page<Message>>, Problem> {
    let filter = Filter::read(&app, user.id(), page.params()).await?;
    let terms = search.terms(&app).await?;
    answer(&app, &page, &Filter { terms, ..filter }).await
}

/// `GET /api/chats/conversations/{id}/messages/`: those of one conversation; 404 for who has never taken part.
#[utoipa::path(
    get,
    path = "/{id}/messages",
    tag = "Conversations",
    summary = "List the messages of a conversation",
    description = "By default the newest first, with the filters of the list of messages.",
    params(("id" = ConversationId, Path, description = "A conversation."), PageParams, FilterParams),
    responses(
        (status = 200, description = "A page of messages.", body = Page<Message>),
        (status = 404, description = "The caller does not know of such a conversation."),
        (status = 503, description = "`search_behind`: the search has not caught up with the messages yet."),
    )
)]
pub async fn list_in(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<ConversationId>,
    search: Search,
    page: PageRequest,
) -> Result<Json<Page<Message>>, Problem> {
    if !store::takes_part(&mut app.db.read().await?, id, user.id()).await? {
        return Err(Problem::not_found());
    }
    let filter = Filter::read(&app, user.id(), page.params()).await?;
    let terms = search.terms(&app).await?;
    answer(&app, &page, &Filter { conversation: Some(id), terms, ..filter }).await
}

async fn answer(
    app: &App,
    page: &PageRequest,
    filter: &Filter,
) -> Result<Json<Page<Message>>, Problem> {
    let mut conn = app.db.read().await?;
    let count = store::count(&mut conn, filter).await?;
    let messages = store::page(&mut conn, filter, page.limit(), page.offset()).await?;
    let messages = messages.into_iter().map(|inbox| inbox.message).collect();
    page.answer(count, messages).map(Json)
}
