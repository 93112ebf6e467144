use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::login::{Tokens, tokens};
use super::refresh_token::RefreshToken;
use super::store::{self, Rotation};
use crate::app::AppState;
use crate::http::Json;

/// How long the immediate predecessor still gets the same successor, so that parallel tabs do not log a user out.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Deserialize, ToSchema)]
pub struct Refresh {
    pub refresh_token: String,
}

/// `POST /api/auth/refresh/`: spends a refresh token for a new pair. A spent one used again ends the session (RFC 9700 §4.14).
#[utoipa::path(
    post,
    path = "/refresh",
    tag = "Accounts",
    summary = "Refresh a session",
    description = "Spends the refresh token for a new pair. A spent token used again ends the session, except that the \
        immediate predecessor gets the same successor for 10 seconds.",
    security(()),
    request_body = Refresh,
    responses(
        (status = 200, description = "The new pair.", body = Tokens),
        (status = 401, description = "`invalid_token`: the refresh token does not count, or no longer."),
    )
)]
pub async fn refresh(
    State(app): State<AppState>,
    Json(body): Json<Refresh>,
) -> Result<Json<Tokens>, Problem> {
    let refused = || {
        Problem::unauthenticated("invalid_token", "The refresh token does not count, or no longer.")
    };
    let token = RefreshToken::parse(&body.refresh_token).ok_or_else(refused)?;
    let (shared, now) = (app.clone(), app.clock.now());
    let rotated = app
        .db
        .write(move |conn| {
            Box::pin(async move {
                let hash = token.hash();
                let (rotation, salt) = store::spend(conn, &hash, now, GRACE).await?;
                if rotation == Rotation::Unknown {
                    return Ok::<_, Problem>((rotation, None));
                }
                let successor = shared.accounts.refresh.successor(&token, &salt)?;
                let kept = match rotation {
                    Rotation::Spent(session) => {
                        store::add_refresh(conn, session, &successor.hash(), now).await?;
                        store::extend_session(conn, session, now).await?;
                        true
                    }
                    Rotation::Again(session) => {
                        let kept = store::is_unspent(conn, &successor.hash()).await?;
                        if !kept {
                            store::end_session(conn, session, now).await?;
                        }
                        kept
                    }
                    Rotation::Reused(session) => {
                        store::end_session(conn, session, now).await?;
                        false
                    }
                    Rotation::Unknown => false,
                };
                Ok((rotation, kept.then_some(successor)))
            })
        })
        .await?;
    match rotated {
        (Rotation::Spent(session) | Rotation::Again(session), Some(successor)) => {
            let account = store::by_session(&mut app.db.read().await?, session, now).await?;
            tokens(&app, account.ok_or_else(refused)?, session, &successor).map(Json)
        }
        (Rotation::Spent(session) | Rotation::Again(session) | Rotation::Reused(session), _) => {
            tracing::warn!(%session, "a spent refresh token was used again; the session is ended");
            app.accounts.sessions.forget(session).await;
            Err(refused())
        }
        (Rotation::Unknown, _) => Err(refused()),
    }
}
