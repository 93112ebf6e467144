use std::time::Duration;

use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::browser::{LoggedIn, welcome};
use super::cookies::SetCookies;
use super::csrf::guard;
use super::current_user::bearer;
use super::guesses::place;
use super::login::{Tokens, tokens};
use super::refresh_token::RefreshToken;
use super::store::{self, Rotation};
use crate::app::AppState;
use crate::http::{ClientAddress, Json};
use crate::settings::Setting;

/// How long the immediate predecessor still gets the same successor, so that parallel tabs do not log a user out.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Default, Deserialize, ToSchema)]
pub struct Refresh {
    refresh_token: Option<String>,
}

/// `POST /api/auth/refresh/`: spends a refresh token for a new pair. A spent one used again ends the session (RFC 9700 §4.14).
///
/// Without one in the body it is that of the cookie, with a CSRF token; then the new pair is in cookies alone. The
/// CSRF token stays, as other tabs may be about to send it.
#[utoipa::path(
    post,
    path = "/refresh",
    tag = "Accounts",
    summary = "Refresh a session",
    description = "Spends the refresh token for a new pair. A spent token used again ends the session, except that the \
        immediate predecessor gets the same successor for 10 seconds.\n\n\
        Without one in the body, that of the cookie is spent, with a CSRF token, and the new pair is in cookies alone. \
        Browsers send the cookie to paths under `/api/auth/` only.",
    security(()),
    request_body = Option<Refresh>,
    responses(
        (status = 200, description = "The new pair.", body = LoggedIn),
        (status = 401, description = "`invalid_token`: the refresh token does not count, or no longer."),
        (status = 403, description = "`csrf_failed`: the cookie came without its CSRF token, or from a foreign page."),
    )
)]
pub async fn refresh(
    State(app): State<AppState>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Option<Json<Refresh>>,
) -> Result<(Option<SetCookies>, Json<LoggedIn>), Problem> {
    if let Some(token) = body.and_then(|Json(body)| body.refresh_token) {
        return Ok((None, Json(LoggedIn::Tokens(rotate(&app, address, &token).await?))));
    }
    let cookies = &app.accounts.cookies;
    let cookie = match bearer(&headers)? {
        // Cookies count for nothing beside a header, be it good or bad.
        Some(token) => {
            app.accounts.access.verify(token).ok_or_else(refused)?;
            None
        }
        None => cookies.refresh(&headers),
    };
    let Some(text) = cookie else {
        return Err(Problem::invalid().field("refresh_token", "This field is required."));
    };
    let token = RefreshToken::parse(text).ok_or_else(refused)?;
    let session = store::session_of(&mut app.db.read().await?, &token.hash()).await?;
    guard(&app, &headers, session.ok_or_else(refused)?)?;
    let tokens = rotate(&app, address, text).await?;
    welcome(&app, tokens, cookies.csrf(&headers), "Session refreshed")
}

fn refused() -> Problem {
    Problem::unauthenticated("invalid_token", "The refresh token does not count, or no longer.")
}

/// Spends a refresh token for a new pair.
pub async fn rotate(app: &AppState, address: ClientAddress, text: &str) -> Result<Tokens, Problem> {
    let token = RefreshToken::parse(text).ok_or_else(refused)?;
    let (shared, now, at_most) = (app.clone(), app.clock.now(), app.accounts.session_max);
    let ends = now.after(app.settings.seconds(Setting::RefreshTokenLifetime));
    let place = place(app, address)?;
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
                        store::extend_session(conn, session, ends, at_most).await?;
                        store::know_place_of(conn, session, &place, now).await?;
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
            tokens(app, account.ok_or_else(refused)?, session, &successor)
        }
        (Rotation::Spent(session) | Rotation::Again(session) | Rotation::Reused(session), _) => {
            tracing::warn!(%session, "a spent refresh token was used again; the session is ended");
            app.accounts.sessions.forget(session).await;
            Err(refused())
        }
        (Rotation::Unknown, _) => Err(refused()),
    }
}
