use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method};
use shared::encryption::Caller;
use shared::id::{SessionId, UserId};
use shared::models::{AccountRole, UserCard};
use shared::problem::Problem;

use super::csrf::guard;
use super::sessions::SessionUser;
use crate::app::{App, AppState};

/// The authenticated caller. A handler that takes it can only be reached with a token of a living session, and an
/// unsafe request whose token came in a cookie only from a page that may act for its user.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    user: Arc<SessionUser>,
    /// The session of the token.
    pub session: SessionId,
    /// Whether the token came in a cookie.
    pub by_cookie: bool,
}

impl CurrentUser {
    /// Who it is.
    pub fn id(&self) -> UserId {
        self.user.card.id
    }

    /// Who it is, as everybody may see it.
    pub fn card(&self) -> &UserCard {
        &self.user.card
    }

    /// What they may do.
    pub fn role(&self) -> AccountRole {
        self.user.role
    }
}

/// A caller who is an admin; 403 `admins_only` for everybody else.
#[derive(Clone, Debug)]
pub struct Admin(pub CurrentUser);

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let user = CurrentUser::from_request_parts(parts, app).await?;
        if user.role() == AccountRole::Admin { Ok(Self(user)) } else { Err(admins_only()) }
    }
}

/// 403: the caller is known, and no admin.
pub fn admins_only() -> Problem {
    Problem::forbidden("admins_only", "Only an admin may do this.")
}

impl FromRequestParts<AppState> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        match parts.extensions.get::<Self>() {
            Some(user) => Ok(user.clone()),
            None => identify(app, &parts.method, &parts.headers).await,
        }
    }
}

/// Authenticates a request before the encryption layers, which seal in the caller's name.
pub async fn authenticate(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    match identify(&app, request.method(), request.headers()).await {
        Ok(user) => {
            request.extensions_mut().insert(Caller(user.id()));
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who sends a request: the bearer of its token or, without an `Authorization` header, the owner of its cookie.
pub async fn identify(
    app: &AppState,
    method: &Method,
    headers: &HeaderMap,
) -> Result<CurrentUser, Problem> {
    let (token, by_cookie) = match bearer(headers)? {
        Some(token) => (Some(token), false),
        None => (app.accounts.cookies.access(headers), true),
    };
    let token = token.ok_or_else(|| {
        Problem::unauthenticated(
            "not_authenticated",
            "Log in and send the access token as a Bearer token.",
        )
    })?;
    let refused = || {
        Problem::unauthenticated("invalid_token", "The access token does not count, or no longer.")
    };
    let claims = app.accounts.access.verify(token).ok_or_else(refused)?;
    let user = app.accounts.sessions.find(claims.sid).await?;
    let user = user.filter(|user| user.card.id == claims.sub).ok_or_else(refused)?;
    // A browser sends cookies along whichever page has caused the request.
    if by_cookie && !method.is_safe() {
        guard(app, headers, claims.sid)?;
    }
    Ok(CurrentUser { user, session: claims.sid, by_cookie })
}

/// The user of a session, if it is alive.
pub async fn of_session(app: &App, session: SessionId) -> Result<Option<CurrentUser>, Problem> {
    let user = app.accounts.sessions.find(session).await?;
    Ok(user.map(|user| CurrentUser { user, session, by_cookie: false }))
}

/// The token of the `Authorization` header (RFC 6750 §2.1); 401 if there is one that is not a Bearer token.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = || {
        Problem::unauthenticated(
            "invalid_token",
            "The Authorization header is not one Bearer token.",
        )
    };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(malformed)?;
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") || !plain {
        return Err(malformed());
    }
    Ok(Some(token))
}
