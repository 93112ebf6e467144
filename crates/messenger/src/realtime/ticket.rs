use std::time::Duration;

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::id::SessionId;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::store;
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::http::Json;

/// How long a ticket lives.
const LIFETIME: Duration = Duration::from_secs(30);

/// What opens one socket.
#[derive(Serialize, ToSchema)]
pub struct Ticket {
    /// For `?ticket=`.
    #[schema(example = "kJ2v…")]
    ticket: String,
    /// Seconds until it no longer counts.
    #[schema(example = 30)]
    expires_in: u64,
}

/// `POST /api/ws/ticket/`: a ticket for one socket of the caller's session, for clients that can give a socket no headers.
///
/// 256 random bits, of which only a hash is stored; it counts once, within 30 seconds, on every replica.
#[utoipa::path(
    post,
    path = "/ticket",
    tag = "Real time",
    summary = "Get a ticket for a socket",
    description = "For clients that can give a socket no headers: `GET /api/ws/?ticket=…` with it, once, within 30 seconds. It belongs to the session and ends with it.",
    responses((status = 201, description = "The ticket.", body = Ticket))
)]
pub async fn ticket(
    State(app): State<AppState>,
    user: CurrentUser,
) -> Result<(StatusCode, Json<Ticket>), Problem> {
    let secret: [u8; 32] = rand::random();
    let (hash, session, now) = (Sha256::digest(secret), user.session, app.clock.wall());
    let until = now.after(LIFETIME);
    app.db
        .write(move |conn| {
            Box::pin(async move { store::add_ticket(conn, &hash, session, now, until).await })
        })
        .await?;
    let ticket = URL_SAFE_NO_PAD.encode(secret);
    Ok((StatusCode::CREATED, Json(Ticket { ticket, expires_in: LIFETIME.as_secs() })))
}

/// The session of a ticket, which does not count again; `None` if it does not count.
pub async fn redeem(app: &App, ticket: &str) -> Result<Option<SessionId>, Problem> {
    let Ok(secret) = URL_SAFE_NO_PAD.decode(ticket) else { return Ok(None) };
    let (hash, now) = (Sha256::digest(secret), app.clock.wall());
    let spend = app
        .db
        .write(move |conn| Box::pin(async move { store::spend_ticket(conn, &hash, now).await }));
    Ok(spend.await?)
}
