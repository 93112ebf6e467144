use axum::extract::State;
use shared::models::{Conversation, Page};
use shared::problem::Problem;
use utoipa::IntoParams;

use super::store::{self, Order};
use super::{search, view};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PageParams, PageRequest, Params};

/// The search in a list of conversations and its order, as the description of the API shows them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes, and is never made")]
pub struct ListParams {
    /// Only those with this text in their title, or in the username, first or last name of somebody who takes part.
    /// Case does not matter, and no character means anything but itself.
    #[param(example = "bob")]
    search: Option<String>,
    /// `updated_at`, `-updated_at` (the latest first, the default), `created_at` or `-created_at`.
    #[param(example = "-updated_at")]
    ordering: Option<String>,
}

/// `GET /api/chats/conversations/`: what the caller takes part in, by default the latest activity first; `?search=`
/// leaves those with a text in their title or in a name. With a cursor, what happens between two pages moves none of them.
#[utoipa::path(
    get,
    path = "/",
    tag = "Conversations",
    summary = "List the own conversations",
    description = "Those that the caller takes part in, by default the latest activity first. A direct conversation that \
        the caller has deleted is not among them until a new message arrives. With a cursor, what happens between two pages moves none of them.",
    params(PageParams, ListParams),
    responses((status = 200, description = "A page of conversations.", body = Page<Conversation>))
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Page<Conversation>>, Problem> {
    let (order, user) = (order(page.params())?, user.id());
    let window = page.window(user)?;
    let mut conn = app.db.read().await?;
    let now = app.clock.now();
    let text = page.params().get("search").filter(|text| !text.is_empty());
    let (count, rows) = if let Some(text) = text {
        let found = search::matching(&mut conn, user, text).await?;
        let all = (i64::MAX, 0);
        let mut rows = store::page_of_user(&mut conn, user, order, &window, all, now).await?;
        rows.retain(|(_, id, _)| found.contains(id));
        let (offset, limit) = (place(window.offset), place(window.limit));
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        (Some(count), rows.into_iter().skip(offset).take(limit).collect())
    } else {
        let part = (window.limit, window.offset);
        let rows = store::page_of_user(&mut conn, user, order, &window, part, now).await?;
        let count = if page.needs_count(rows.len()) {
            Some(store::count_of_user(&mut conn, user).await?)
        } else {
            None
        };
        (count, rows)
    };
    let page = page.answer(&window, count, rows, |key| *key)?;
    let Page { count, next, previous, results } = page;
    let ids: Vec<_> = results.into_iter().map(|(_, id, _)| id).collect();
    let results = view::many(&mut conn, &ids, user).await?;
    Ok(Json(Page { count, next, previous, results }))
}

fn place(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn order(params: &Params) -> Result<Order, Problem> {
    match params.get("ordering") {
        None | Some("-updated_at") => Ok(Order::UpdatedLast),
        Some("updated_at") => Ok(Order::UpdatedFirst),
        Some("-created_at") => Ok(Order::CreatedLast),
        Some("created_at") => Ok(Order::CreatedFirst),
        Some(_) => {
            let why = "This should be updated_at, -updated_at, created_at or -created_at.";
            Err(Problem::invalid().field("ordering", why))
        }
    }
}
