use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::current_user::bearer;
use super::refresh_token::RefreshToken;
use super::store;
use crate::app::AppState;
use crate::http::Json;

#[derive(Default, Deserialize, ToSchema)]
pub struct Logout {
    refresh_token: Option<String>,
}

/// Done.
#[derive(Serialize, ToSchema)]
pub struct LoggedOut {
    success: &'static str,
}

impl Default for LoggedOut {
    fn default() -> Self {
        Self { success: "User logged out." }
    }
}

/// `POST /api/auth/logout/` with a Bearer token, a refresh token in the body, or both: ends the session at once.
///
/// Logging out of a session that has ended already is a success. A refresh token of another session than the
/// Bearer token's is refused, and neither session ends.
#[utoipa::path(
    post,
    path = "/logout",
    tag = "Accounts",
    summary = "Log out",
    description = "Ends the session of the access token, of the refresh token in the body, or of both, at once. \
        Logging out twice is a success.",
    security((), ("bearer" = [])),
    request_body = Option<Logout>,
    responses(
        (status = 200, description = "The session has ended.", body = LoggedOut),
        (status = 401, description = "No token, or one that does not count."),
    )
)]
pub async fn logout(
    State(app): State<AppState>,
    headers: HeaderMap,
    body: Option<Json<Logout>>,
) -> Result<Json<LoggedOut>, Problem> {
    let body = body.map_or_else(Logout::default, |Json(body)| body);
    let refused =
        || Problem::unauthenticated("invalid_token", "The token does not count, or no longer.");
    let bearer = match bearer(&headers)? {
        Some(token) => Some(app.accounts.access.verify(token).ok_or_else(refused)?.sid),
        None => None,
    };
    let refresh = match &body.refresh_token {
        Some(text) => {
            let token = RefreshToken::parse(text).ok_or_else(refused)?;
            let found = store::session_of(&mut app.db.read().await?, &token.hash()).await?;
            Some(found.ok_or_else(refused)?)
        }
        None => None,
    };
    let session = match (bearer, refresh) {
        (Some(bearer), Some(refresh)) if bearer != refresh => return Err(refused()),
        (bearer, refresh) => bearer.or(refresh).ok_or_else(|| {
            Problem::unauthenticated(
                "not_authenticated",
                "Send the access token or the refresh token.",
            )
        })?,
    };
    let now = app.clock.now();
    app.db
        .write(move |conn| Box::pin(async move { store::end_session(conn, session, now).await }))
        .await?;
    app.accounts.sessions.forget(session).await;
    Ok(Json(LoggedOut::default()))
}
