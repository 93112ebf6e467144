//! Sessions that live in a browser: their tokens are in cookies, and in nothing that a script can read.

use std::time::Duration;

use axum::extract::State;
use http::{HeaderMap, Method};
use serde::Serialize;
use shared::id::SessionId;
use shared::models::Profile;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::cookies::SetCookies;
use super::current_user::{bearer, identify};
use super::login::Tokens;
use super::refresh_token::RefreshToken;
use super::store;
use crate::app::{App, AppState};
use crate::http::Json;
use crate::settings::Setting;

/// The answer to a log-in or a refresh.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum LoggedIn {
    Tokens(Tokens),
    Cookies(Welcome),
}

/// The answer whose tokens are in cookies.
#[derive(Serialize, ToSchema)]
pub struct Welcome {
    user: Profile,
    message: &'static str,
}

/// Puts the tokens of a session into cookies, with `csrf` or a fresh CSRF token.
pub fn welcome(
    app: &App,
    tokens: Tokens,
    csrf: Option<&str>,
    message: &'static str,
) -> Result<(Option<SetCookies>, Json<LoggedIn>), Problem> {
    let fresh;
    let csrf = if let Some(csrf) = csrf {
        csrf
    } else {
        fresh = app.accounts.csrf.issue(Some(tokens.session))?;
        &fresh
    };
    let access = (tokens.access_token.as_str(), Duration::from_secs(tokens.expires_in));
    let lifetime = app.settings.seconds(Setting::RefreshTokenLifetime);
    let cookies = &app.accounts.cookies;
    let cookies = cookies.set(access, &tokens.refresh_token, csrf, lifetime)?;
    Ok((Some(cookies), Json(LoggedIn::Cookies(Welcome { user: tokens.user, message }))))
}

/// The session of a request's cookies, alive or not: that of the access token, or else that of the refresh token.
///
/// This alone lets nobody do anything.
pub async fn session_of_cookies(
    app: &App,
    headers: &HeaderMap,
) -> Result<Option<SessionId>, Problem> {
    let cookies = &app.accounts.cookies;
    let claims = cookies.access(headers).and_then(|token| app.accounts.access.verify(token));
    if let Some(claims) = claims {
        return Ok(Some(claims.sid));
    }
    match cookies.refresh(headers).and_then(RefreshToken::parse) {
        Some(token) => Ok(store::session_of(&mut app.db.read().await?, &token.hash()).await?),
        None => Ok(None),
    }
}

/// A CSRF token, as its cookie has it too.
#[derive(Serialize, ToSchema)]
pub struct CsrfToken {
    csrf_token: String,
}

/// `GET /api/auth/csrf/`: a fresh CSRF token for the session of the request, as a cookie and in the body.
///
/// Without a session there is a token too, but it is good for nothing; log-in sets one that is.
#[utoipa::path(
    get,
    path = "/csrf",
    tag = "Accounts",
    summary = "Get a CSRF token",
    description = "Sets a fresh CSRF token for the session of the cookies, and answers with it. It is good for as long as \
        its session; log-in sets one too. Without a session the token is good for nothing.",
    security(()),
    responses(
        (status = 200, description = "The token, as it is in the cookie.", body = CsrfToken),
        (status = 401, description = "`invalid_token`: the `Authorization` header does not count."),
    )
)]
pub async fn csrf(
    State(app): State<AppState>,
    headers: HeaderMap,
) -> Result<(SetCookies, Json<CsrfToken>), Problem> {
    let session = match bearer(&headers)? {
        Some(_) => Some(identify(&app, &Method::GET, &headers).await?.session),
        None => session_of_cookies(&app, &headers).await?,
    };
    let csrf_token = app.accounts.csrf.issue(session)?;
    let lifetime = app.settings.seconds(Setting::RefreshTokenLifetime);
    let cookies = app.accounts.cookies.set_csrf(&csrf_token, lifetime)?;
    Ok((cookies, Json(CsrfToken { csrf_token })))
}
