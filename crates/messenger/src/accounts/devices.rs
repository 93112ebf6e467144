use std::cmp::Reverse;

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use shared::id::SessionId;
use shared::models::Page;
use shared::problem::Problem;
use shared::time::Timestamp;
use utoipa::ToSchema;

use super::cookies::SetCookies;
use super::logout::LoggedOut;
use super::{CurrentUser, store};
use crate::app::AppState;
use crate::http::{Json, PageParams, PageRequest, PathId};

/// A living session, as the list of devices shows it.
#[derive(Serialize, ToSchema)]
pub struct Device {
    pub id: SessionId,
    /// What the client called itself at log-in; may be empty.
    pub user_agent: String,
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// `GET /api/auth/sessions/`: the caller's living sessions, the latest first.
#[utoipa::path(
    get,
    path = "/sessions",
    tag = "Accounts",
    summary = "List the own sessions",
    description = "The caller's living sessions, the latest first.",
    params(PageParams),
    responses((status = 200, description = "A page of sessions.", body = Page<Device>))
)]
pub async fn list(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Page<Device>>, Problem> {
    let now = app.clock.wall();
    let mut devices = store::living(&mut app.db.read().await?, user.id(), now).await?;
    for device in &mut devices {
        device.current = device.id == user.session;
    }
    let count = i64::try_from(devices.len()).unwrap_or(i64::MAX);
    let key = |device: &Device| (Reverse(device.last_used_at), device.id);
    let window = page.window(user.id())?;
    page.answer(&window, Some(count), window.cut(devices, key), key).map(Json)
}

/// `DELETE /api/auth/sessions/{id}/`: ends one of the caller's sessions at once; 404 if it is none of theirs.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    tag = "Accounts",
    summary = "End one of the own sessions",
    description = "Its tokens stop working at once.",
    params(("id" = SessionId, Path, description = "A session of the list.")),
    responses(
        (status = 204, description = "It has ended."),
        (status = 404, description = "It is none of the caller's living sessions."),
    )
)]
pub async fn revoke(
    State(app): State<AppState>,
    user: CurrentUser,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    let (owner, now) = (user.id(), app.clock.now());
    let ended = app.db.write(move |conn| {
        Box::pin(async move { store::end_own_session(conn, id, owner, now).await })
    });
    if !ended.await? {
        return Err(Problem::not_found());
    }
    app.accounts.sessions.forget(id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/auth/logout/all/`: ends all the caller's sessions at once, this one too.
#[utoipa::path(
    post,
    path = "/logout/all",
    tag = "Accounts",
    summary = "Log out everywhere",
    description = "Ends all the caller's sessions at once, this one too.",
    responses((status = 200, description = "They have ended.", body = LoggedOut))
)]
pub async fn log_out_everywhere(
    State(app): State<AppState>,
    user: CurrentUser,
) -> Result<(Option<SetCookies>, Json<LoggedOut>), Problem> {
    let (owner, now) = (user.id(), app.clock.now());
    let ended = app.db.write(move |conn| {
        Box::pin(async move { store::end_sessions(conn, owner, None, now).await })
    });
    for session in ended.await? {
        app.accounts.sessions.forget(session).await;
    }
    let cookies = user.by_cookie.then(|| app.accounts.cookies.clear()).transpose()?;
    Ok((cookies, Json(LoggedOut::default())))
}
