use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use shared::id::SessionId;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::browser::session_of_cookies;
use super::cookies::SetCookies;
use super::csrf::guard;
use super::current_user::bearer;
use super::refresh_token::RefreshToken;
use super::store;
use crate::app::{App, AppState};
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
/// Without either it is the session of the cookies that ends, with a CSRF token, and the cookies go too.
/// Logging out of a session that has ended already is a success. A refresh token of another session than the
/// Bearer token's is refused, and neither session ends.
#[utoipa::path(
    post,
    path = "/logout",
    tag = "Accounts",
    summary = "Log out",
    description = "Ends the session of the access token, of the refresh token in the body, or of both, at once. \
        Logging out twice is a success.\n\n\
        Without either, the session of the cookies ends, with a CSRF token, and the cookies are taken back.",
    security((), ("bearer" = [])),
    request_body = Option<Logout>,
    responses(
        (status = 200, description = "The session has ended.", body = LoggedOut),
        (status = 401, description = "No token, or one that does not count."),
        (status = 403, description = "`csrf_failed`: the cookies came without their CSRF token, or from a foreign page."),
    )
)]
pub async fn logout(
    State(app): State<AppState>,
    headers: HeaderMap,
    body: Option<Json<Logout>>,
) -> Result<(Option<SetCookies>, Json<LoggedOut>), Problem> {
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
    let (session, cookies) = match (bearer, refresh) {
        (Some(bearer), Some(refresh)) if bearer != refresh => return Err(refused()),
        (Some(session), _) | (None, Some(session)) => (session, None),
        (None, None) => {
            let session = session_of_cookies(&app, &headers).await?.ok_or_else(|| {
                Problem::unauthenticated(
                    "not_authenticated",
                    "Send the access token or the refresh token.",
                )
            })?;
            guard(&app, &headers, session)?;
            (session, Some(app.accounts.cookies.clear()?))
        }
    };
    end(&app, session).await?;
    Ok((cookies, Json(LoggedOut::default())))
}

/// Ends a session at once, unless it has ended already.
pub async fn end(app: &App, session: SessionId) -> Result<(), Problem> {
    let now = app.clock.now();
    app.db
        .write(move |conn| Box::pin(async move { store::end_session(conn, session, now).await }))
        .await?;
    app.accounts.sessions.forget(session).await;
    Ok(())
}
