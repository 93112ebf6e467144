//! The names under which older clients know log-in and refresh.

use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;

use super::login::{Credentials, Tokens, login};
use super::refresh::{Refresh, refresh};
use crate::app::AppState;
use crate::http::Json;

/// A pair of tokens, and nothing else.
#[derive(Serialize)]
pub struct TokenPair {
    access: String,
    refresh: String,
}

impl From<Json<Tokens>> for TokenPair {
    fn from(Json(tokens): Json<Tokens>) -> Self {
        Self { access: tokens.access_token, refresh: tokens.refresh_token }
    }
}

/// `POST /api/token/`: logs in with `username` and `password`.
pub async fn obtain(
    state: State<AppState>,
    headers: HeaderMap,
    credentials: Json<Credentials>,
) -> Result<Json<TokenPair>, Problem> {
    Ok(Json(login(state, headers, credentials).await?.into()))
}

#[derive(Deserialize)]
pub struct OldRefresh {
    refresh: String,
}

/// `POST /api/token/refresh/`: spends the refresh token `refresh` for a new pair.
pub async fn renew(
    state: State<AppState>,
    Json(body): Json<OldRefresh>,
) -> Result<Json<TokenPair>, Problem> {
    let body = Refresh { refresh_token: body.refresh };
    Ok(Json(refresh(state, Json(body)).await?.into()))
}
