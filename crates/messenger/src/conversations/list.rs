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
/// leaves those with a text in their title or in a name.
#[utoipa::path(
    get,
    path = "/",
    tag = "Conversations",
    summary = "List the own conversations",
    description = "Those that the caller takes part in, by default the latest activity first. A direct conversation that \
        the caller has deleted is not among them until a new message arrives.",
    params(PageParams, ListParams),
    responses((status = 200, description = "A page of conversations.", body = Page<Conversation>))
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Page<Conversation>>, Problem> {
    let (order, user) = (order(page.params())?, user.id());
    let mut conn = app.db.read().await?;
    let text = page.params().get("search").filter(|text| !text.is_empty());
    let (count, ids) = if let Some(text) = text {
        let found = search::matching(&mut conn, user, text).await?;
        let mut ids = store::page_of_user(&mut conn, user, order, i64::MAX, 0).await?;
        ids.retain(|id| found.contains(id));
        let (start, end) = (place(page.offset()), place(page.end()));
        let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        (count, ids.into_iter().take(end).skip(start).collect())
    } else {
        let count = store::count_of_user(&mut conn, user).await?;
        let (limit, offset) = (page.limit(), page.offset());
        (count, store::page_of_user(&mut conn, user, order, limit, offset).await?)
    };
    let conversations = view::many(&mut conn, &ids, user).await?;
    page.answer(count, conversations).map(Json)
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
