use axum::extract::State;
use shared::models::{InboxMessage, Page};
use shared::problem::Problem;

use super::filter::{Filter, FilterParams};
use super::list::listed;
use super::store::Listed;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PageParams, PageRequest};
use crate::search::Search;

/// `GET /api/messages/inbox/`: messages from others, by default the newest first, with the filters of the list.
/// `?unread=true` leaves out what has been read.
#[utoipa::path(
    get,
    path = "/inbox",
    tag = "Messages",
    summary = "List the inbox",
    description = "Messages from others, by default the newest first.",
    params(PageParams, FilterParams, ("unread" = Option<bool>, Query, description = "Only what has not been read.")),
    responses(
        (status = 200, description = "A page of messages.", body = Page<InboxMessage>),
        (status = 503, description = "`search_behind`: the search has not caught up with the messages yet."),
    )
)]
pub async fn inbox(
    State(app): State<AppState>,
    user: CurrentUser,
    search: Search,
    page: PageRequest,
) -> Result<Json<Page<InboxMessage>>, Problem> {
    let filter = Filter::read(&app, user.id(), page.params()).await?;
    let unread = page.params().parse("unread", "This should be true or false.")?.unwrap_or(false);
    let terms = search.terms(&app).await?;
    let filter = Filter { of_others: true, unread, terms, ..filter };
    let inbox = |Listed { message, read, .. }| InboxMessage { message, read };
    Ok(Json(listed(&app, &page, &filter).await?.map(inbox)))
}
