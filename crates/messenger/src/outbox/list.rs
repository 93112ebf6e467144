use axum::extract::State;
use shared::models::Page;
use shared::problem::Problem;
use utoipa::IntoParams;

use super::entry::{EntryState, OutboxEntry};
use super::store::{self, Filter};
use crate::accounts::Admin;
use crate::app::{App, AppState};
use crate::http::{Json, PageParams, PageRequest, Params, Window};

/// What narrows the list, as the description shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes, and is never made")]
pub struct OutboxParams {
    /// Only what is for this peer.
    #[param(example = "app-b")]
    peer: Option<String>,
    /// Only what is in this state.
    state: Option<EntryState>,
    /// `created_at`, the oldest first, which is the default; or `-created_at`.
    #[param(pattern = "^-?created_at$")]
    ordering: Option<String>,
}

/// `GET /api/admin/outbox/`, for admins: what waits for the peers, and which messages have failed for them.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "list_outbox",
    tag = "Admin",
    summary = "List the outbox",
    description = "What waits for the peers, and which messages have failed for them, the oldest first. No texts are in it.",
    params(OutboxParams, PageParams),
    responses(
        (status = 200, description = "A page of entries.", body = Page<OutboxEntry>),
        (status = 403, description = "`admins_only`"),
    )
)]
pub async fn list(
    State(app): State<AppState>,
    Admin(admin): Admin,
    page: PageRequest,
) -> Result<Json<Page<OutboxEntry>>, Problem> {
    let filter = read(page.params())?;
    let mut conn = app.db.read().await?;
    let window = page.window(admin.id())?;
    let found = store::page(&mut conn, &filter, &window).await?;
    let count = if page.needs_count(found.len()) {
        Some(store::count(&mut conn, &filter).await?)
    } else {
        None
    };
    let page = page.answer(&window, count, found, store::key)?;
    Ok(Json(page.map(|found| found.entry)))
}

/// The first entries that a filter leaves, at most `limit`.
pub async fn entries(app: &App, filter: &Filter, limit: i64) -> Result<Vec<OutboxEntry>, Problem> {
    let mut conn = app.db.read().await?;
    let found = store::page(&mut conn, filter, &Window::first(limit)).await?;
    Ok(found.into_iter().map(|found| found.entry).collect())
}

/// The filter that a query asks for.
fn read(params: &Params) -> Result<Filter, Problem> {
    let newest_first = match params.get("ordering") {
        None | Some("created_at") => false,
        Some("-created_at") => true,
        Some(_) => {
            let why = "This should be created_at or -created_at.";
            return Err(Problem::invalid().field("ordering", why));
        }
    };
    let peer = params.parse("peer", "This should be the name of an app.")?;
    let state = params.parse("state", "This should be waiting or failed.")?;
    Ok(Filter { peer, state, newest_first })
}
