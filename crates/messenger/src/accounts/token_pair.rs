//! The names under which older clients know log-in and refresh.

use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::login::{Credentials, Tokens, begin};
use super::refresh::rotate;
use crate::app::AppState;
use crate::http::{ClientAddress, Json};

/// A pair of tokens, and nothing else.
#[derive(Serialize, ToSchema)]
pub struct TokenPair {
    access: String,
    refresh: String,
}

impl From<Tokens> for TokenPair {
    fn from(tokens: Tokens) -> Self {
        Self { access: tokens.access_token, refresh: tokens.refresh_token }
    }
}

/// `POST /api/token/`: logs in with `username` and `password`.
#[utoipa::path(
    post,
    path = "/token",
    tag = "Accounts",
    summary = "Log in, under the older name",
    description = "As `/api/auth/login/`, with another form of the answer.",
    security(()),
    request_body = Credentials,
    responses(
        (status = 200, description = "The tokens of the new session.", body = TokenPair),
        (status = 401, description = "`invalid_credentials`: there is no active account with this name and password."),
    )
)]
pub async fn obtain(
    State(app): State<AppState>,
    address: ClientAddress,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<Json<TokenPair>, Problem> {
    Ok(Json(begin(&app, address, &headers, credentials).await?.into()))
}

#[derive(Deserialize, ToSchema)]
pub struct OldRefresh {
    refresh: String,
}

/// `POST /api/token/refresh/`: spends the refresh token `refresh` for a new pair.
#[utoipa::path(
    post,
    path = "/token/refresh",
    tag = "Accounts",
    summary = "Refresh a session, under the older name",
    description = "As `/api/auth/refresh/`, with another form of body and answer.",
    security(()),
    request_body = OldRefresh,
    responses(
        (status = 200, description = "The new pair.", body = TokenPair),
        (status = 401, description = "`invalid_token`: the refresh token does not count, or no longer."),
    )
)]
pub async fn renew(
    State(app): State<AppState>,
    address: ClientAddress,
    Json(body): Json<OldRefresh>,
) -> Result<Json<TokenPair>, Problem> {
    Ok(Json(rotate(&app, address, &body.refresh).await?.into()))
}
