use axum::RequestExt;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::address::Username;
use shared::id::UserId;
use shared::problem::Problem;
use shared::relay::{MAX_LIST, UserList, UserState};
use utoipa::ToSchema;

use super::signed::{Refused, Signed};
use crate::app::{App, AppState};
use crate::http::{Json, Params, PathId, Window};
use crate::pictures::Picture;
use crate::users::{NoOrder, Order, UserQuery};
use crate::{pictures, users};

/// One user, or several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Answer {
    /// For `username`.
    User(Box<UserState>),
    /// For `search`.
    List(UserList),
}

/// `GET /relay/v1/users/`, for a peer: with `username`, this app's active user of that name; with `search`, and
/// `ordering` as in the directory, the first 500 of those that the search finds.
#[utoipa::path(
    get,
    path = "/users",
    tag = "Relay",
    summary = "Look up users of this app",
    description = "For peers alone. With `username`, one active user by name; with `search`, the first 500 of those that the search finds.",
    security(("service" = [])),
    params(
        ("username" = Option<String>, Query, description = "A username of this app."),
        ("search" = Option<String>, Query, description = "A part of username, first or last name."),
        ("ordering" = Option<String>, Query, description = "The order of a search."),
    ),
    responses(
        (status = 200, description = "The user, or the list.", body = Answer),
        (status = 404, description = "There is no such user."),
    )
)]
pub async fn users(
    State(app): State<AppState>,
    mut request: Request,
) -> Result<Json<Answer>, Refused> {
    let params: Params = request.extract_parts().await?;
    let _: Signed = request.extract_with_state(&app).await?;
    let answer = match (params.get("username"), params.get("search")) {
        (None, Some(text)) => Answer::List(search(&app, text, &params).await?),
        (name, _) => Answer::User(Box::new(by_name(&app, name.unwrap_or_default()).await?)),
    };
    Ok(Json(answer))
}

async fn by_name(app: &App, name: &str) -> Result<UserState, Problem> {
    let name: Username = name
        .parse()
        .map_err(|_| Problem::invalid().field("username", "This should be a username."))?;
    let (own, name) = (app.name.as_str(), name.key());
    let found = users::state_by_name(&mut app.db.read().await?, own, &name).await?;
    found.filter(|found| found.is_active).ok_or_else(Problem::not_found)
}

async fn search(app: &App, text: &str, params: &Params) -> Result<UserList, Problem> {
    let order: Option<Order> = params.parse("ordering", NoOrder::MESSAGE)?;
    let query = UserQuery::of(text, order.unwrap_or_default());
    let query = query.ok_or_else(|| Problem::invalid().field("search", "This is too long."))?;
    let limit = i64::try_from(MAX_LIST).unwrap_or(0);
    let mut conn = app.db.read().await?;
    let count = users::count(&mut conn, &app.name, &query).await?;
    let results = users::page(&mut conn, &app.name, &query, &Window::first(limit)).await?;
    Ok(UserList { count, results })
}

/// `GET /relay/v1/users/{id}/picture/`, for a peer: the picture of an active user of this app.
#[utoipa::path(
    get,
    path = "/users/{id}/picture",
    tag = "Relay",
    summary = "The picture of a user of this app",
    description = "For peers alone.",
    security(("service" = [])),
    params(("id" = UserId, Path, description = "A user of this app.")),
    responses(
        (status = 200, description = "The picture.", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 404, description = "There is none."),
    )
)]
pub async fn picture(
    State(app): State<AppState>,
    mut request: Request,
) -> Result<Response, Refused> {
    let PathId(id): PathId<UserId> = request.extract_parts().await?;
    let _: Signed = request.extract_with_state(&app).await?;
    Ok(stored(&app, id).await?.into_response())
}

async fn stored(app: &App, id: UserId) -> Result<Picture, Problem> {
    let mut conn = app.db.read().await?;
    let found = users::state(&mut conn, id).await?;
    let found = found.filter(|found| found.is_active && found.user.app == app.name);
    let version = found.and_then(|found| found.user.picture).ok_or_else(Problem::not_found)?;
    let stored = pictures::stored(&mut conn, id).await?.filter(|stored| stored.version == version);
    stored.ok_or_else(Problem::not_found)
}
