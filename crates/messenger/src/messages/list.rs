use axum::extract::State;
use shared::id::ConversationId;
use shared::models::{Message, Page};
use shared::problem::Problem;

use super::filter::{Filter, FilterParams};
use super::store::{self, Listed};
use super::view;
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::http::{Json, PageParams, PageRequest, PathId};
use crate::receipts;
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
    Ok(Json(listed(app, page, filter).await?.map(|listed| listed.message)))
}

/// The part of a list of messages that is asked for. It is handed to a client of the caller, which is noted.
pub async fn listed(
    app: &App,
    page: &PageRequest,
    filter: &Filter,
) -> Result<Page<Listed>, Problem> {
    let window = page.window(filter.caller)?;
    let mut conn = app.db.read().await?;
    let found = store::page(&mut conn, filter, &window).await?;
    let count = if page.needs_count(found.len()) {
        Some(store::count(&mut conn, filter).await?)
    } else {
        None
    };
    let mut page = page.answer(&window, count, found, |l| (l.message.created_at, l.message.id))?;
    view::show(&mut conn, filter.caller, &mut page.results).await?;
    let new = page.results.iter().filter(|listed| !listed.delivered).map(|l| &l.message);
    receipts::delivered(app, filter.caller, new);
    Ok(page)
}
