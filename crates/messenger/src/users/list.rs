use std::collections::HashMap;

use axum::extract::State;
use futures::future::join_all;
use serde::Serialize;
use shared::address::AppName;
use shared::models::{AccountRole, Page};
use shared::problem::Problem;
use shared::relay::{MAX_LIST, UserState};
use utoipa::{IntoParams, ToSchema};

use super::get::Shown;
use super::query::{MAX_SEARCH, NoOrder, Order, Place, UserQuery};
use super::store;
use crate::accounts::{self, CurrentUser};
use crate::app::{App, AppState};
use crate::http::{Json, PageParams, PageRequest, Params, Window};

/// The filters of the directory, as the description of the API shows them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes, and is never made")]
pub struct ListParams {
    /// A part of username, first or last name, without regard to case; wildcards stand for themselves.
    #[param(max_length = 200, example = "bo")]
    search: Option<String>,
    /// Only those of one app; of an unknown one there are none.
    #[param(example = "app-b")]
    app: Option<String>,
    /// The order; `username` unless it is given.
    #[param(pattern = "^-?(username|created_at)$")]
    ordering: Option<String>,
    /// For admins: only those of this app with a role.
    role: Option<AccountRole>,
    /// For admins: only those of this app who are active, or who are not.
    is_active: Option<bool>,
}

/// A page of the directory.
#[derive(Serialize, ToSchema)]
#[schema(as = UserDirectory)]
pub struct Listed {
    #[serde(flatten)]
    page: Page<Shown>,
    /// The peers that have not answered in time; their users are not on the list now.
    unavailable: Vec<AppName>,
}

/// `GET /api/users/`: the active users of this app and its peers.
///
/// `search` looks for a part of username, first or last name; `app` is one app; `ordering` is `username` or
/// `created_at`. An admin sees the users of this app in full, deactivated ones included, and may filter them by
/// `role` and `is_active`, which concern this app alone; for others these two are 403. A list in which a peer takes
/// part ends after its first 500 entries.
#[utoipa::path(
    get,
    path = "/",
    tag = "Users",
    summary = "List and search users",
    description = "The active users of this app and its peers. An admin sees those of this app in full, deactivated ones included. A list in which a peer takes part ends after its first 500 entries.",
    params(ListParams, PageParams),
    responses(
        (status = 200, description = "A page of users.", body = Listed),
        (status = 403, description = "`admins_only`: `role` and `is_active` are for admins."),
        (status = 503, description = "`peer_unavailable`: this page may hold users of a peer that cannot be reached just now."),
    )
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Listed>, Problem> {
    let Asked { query, own, peers } = asked(&app, &user, page.params())?;
    let window = page.window::<Place>(user.id())?;
    let order = query.order;
    let place = |state: &UserState| order.place(&state.user);
    if peers.is_empty() {
        let mut found = if own { own_users(&app, &query, &window).await? } else { Vec::new() };
        if window.is_by_cursor() {
            found.sort_by_key(place);
            found = window.cut(found, place);
        }
        let count = if own && page.needs_count(found.len()) {
            Some(store::count(&mut app.db.read().await?, &app.name, &query).await?)
        } else {
            None
        };
        let found = page.answer(&window, count, found, place)?;
        let page = shown(&app, &user, found).await?;
        return Ok(Json(Listed { page, unavailable: Vec::new() }));
    }
    let depth = i64::try_from(MAX_LIST).unwrap_or(i64::MAX);
    let end = window.offset.saturating_add(window.limit);
    if !window.is_by_cursor() && end > depth {
        let why =
            "A list of several apps ends after its first 500 entries; search, or name an app.";
        return Err(Problem::invalid().field("page", why));
    }
    let Everybody { count, mut found, unavailable } =
        everybody(&app, &query, own, &peers, &window).await?;
    if window.offset >= count && window.offset > 0 && !unavailable.is_empty() {
        let why = "The other app, whose users this page may hold, cannot be reached just now.";
        return Err(Problem::unavailable("peer_unavailable", why, 5));
    }
    found.sort_by_key(place);
    let found = window.cut(found, place);
    let mut page = page.answer(&window, Some(count), found, place)?;
    let results = app.directory.meet(std::mem::take(&mut page.results)).await?;
    let mut page = shown(&app, &user, Page { results, ..page }).await?;
    if !window.is_by_cursor() && end + window.limit > depth {
        page.next = None;
    }
    Ok(Json(Listed { page, unavailable }))
}

/// What this app and its peers have found.
struct Everybody {
    count: i64,
    found: Vec<UserState>,
    unavailable: Vec<AppName>,
}

async fn everybody(
    app: &App,
    query: &UserQuery,
    own: bool,
    peers: &[AppName],
    window: &Window<Place>,
) -> Result<Everybody, Problem> {
    let (mut count, mut found) = (0, Vec::new());
    if own {
        count = store::count(&mut app.db.read().await?, &app.name, query).await?;
        found = own_users(app, query, &window.from_the_first()).await?;
    }
    let answers = peers.iter().map(|peer| app.directory.search(&app.relay, peer, query));
    let mut unavailable = Vec::new();
    for (peer, answer) in peers.iter().zip(join_all(answers).await) {
        match answer {
            Some(list) => {
                count += list.count;
                found.extend(list.results.iter().cloned());
            }
            None => unavailable.push(peer.clone()),
        }
    }
    Ok(Everybody { count, found, unavailable })
}

/// What the query string asks for, and of whom.
struct Asked {
    query: UserQuery,
    own: bool,
    peers: Vec<AppName>,
}

fn asked(app: &App, user: &CurrentUser, params: &Params) -> Result<Asked, Problem> {
    const ROLE: &str = "This should be user or admin.";
    const ACTIVE: &str = "This should be true or false.";
    let order: Option<Order> = params.parse("ordering", NoOrder::MESSAGE)?;
    let query = UserQuery::of(params.get("search").unwrap_or_default(), order.unwrap_or_default());
    let mut query = query.ok_or_else(|| {
        Problem::invalid().field("search", format!("A search has at most {MAX_SEARCH} characters."))
    })?;
    let role: Option<AccountRole> = params.parse("role", ROLE)?;
    let is_active: Option<bool> = params.parse("is_active", ACTIVE)?;
    let administrative = role.is_some() || is_active.is_some();
    if user.role() == AccountRole::Admin {
        (query.role, query.is_active) = (role, is_active);
    } else if administrative {
        return Err(accounts::admins_only());
    }
    let (own, peers) = match params.get("app") {
        None => (true, app.relay.peers()),
        Some(name) if name == app.name.as_str() => (true, Vec::new()),
        Some(name) => {
            (false, app.relay.peers().into_iter().filter(|peer| peer.as_str() == name).collect())
        }
    };
    // Roles and deactivated users are known of this app alone.
    let peers = if administrative { Vec::new() } else { peers };
    Ok(Asked { query, own, peers })
}

async fn own_users(
    app: &App,
    query: &UserQuery,
    window: &Window<Place>,
) -> Result<Vec<UserState>, Problem> {
    Ok(store::page(&mut app.db.read().await?, &app.name, query, window).await?)
}

/// The users as the caller may see them, in their order.
async fn shown(
    app: &App,
    user: &CurrentUser,
    page: Page<UserState>,
) -> Result<Page<Shown>, Problem> {
    let mut full = HashMap::new();
    if user.role() == AccountRole::Admin {
        let found = page.results.iter().map(|state| &state.user);
        let own: Vec<_> = found.filter(|user| user.app == app.name).map(|user| user.id).collect();
        let profiles = accounts::profiles(app, &mut app.db.read().await?, &own).await?;
        full.extend(profiles.into_iter().map(|profile| (profile.card.id, profile)));
    }
    Ok(page.map(|state| match full.remove(&state.user.id) {
        Some(profile) => Shown::Full(Box::new(profile)),
        None => Shown::Card(state.user),
    }))
}
