//! Requests that may be repeated: with the same `Idempotency-Key` and body, a POST has one effect and one answer.
//!
//! The key is stored in the transaction of what it made, with the answer as the handler gave it, its content still
//! sealed. A repeat gets that answer again; another body under the same key is refused; a repeat while the first
//! is still running is told to wait.

mod store;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use shared::encryption::{Fingerprint, IDEMPOTENCY_KEY};
use shared::id::UserId;
use shared::problem::Problem;
use shared::time::Timestamp;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use crate::accounts::CurrentUser;
use crate::app::{App, AppState};

pub use store::{Record, insert};

/// How long a key is remembered.
pub const REMEMBERED: Duration = Duration::from_hours(24);
/// Characters of a key, at most.
const KEY_LENGTH: usize = 255;

/// The header of a request that may be repeated, as the description of the API shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes, and is never made")]
pub struct IdempotencyParams {
    /// Makes the request safe to repeat: with the same key and body it has one effect and one answer, for a day.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[ -~]+$")]
    idempotency_key: Option<String>,
}

/// A request that its client may repeat.
#[derive(Debug)]
pub struct Attempt {
    user: UserId,
    key: String,
    fingerprint: Fingerprint,
}

impl OptionalFromRequestParts<AppState> for Attempt {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &AppState,
    ) -> Result<Option<Self>, Problem> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=KEY_LENGTH).contains(&key.len()));
        let key = key.ok_or_else(|| {
            let why = "This header has 1 to 255 printable ASCII characters.";
            Problem::invalid().field("Idempotency-Key", why)
        })?;
        let key = key.to_owned();
        // Without a JSON body there is no fingerprint, and the handler refuses the request anyway.
        let Some(fingerprint) = parts.extensions.get::<Fingerprint>().cloned() else {
            return Ok(None);
        };
        let user = CurrentUser::from_request_parts(parts, app).await?.id();
        Ok(Some(Self { user, key, fingerprint }))
    }
}

/// The keys that are under way in this process.
#[derive(Default)]
pub struct Idempotency {
    running: Mutex<HashSet<(UserId, String)>>,
}

/// How to go on with a request.
pub enum Begun<'a> {
    /// It has been done; this was the answer.
    Before(Response),
    /// It is to be done, and its record is to be stored with what it makes.
    Now(Running<'a>),
}

/// A request that is under way, its key if it has one taken, until this is dropped.
pub struct Running<'a> {
    idempotency: &'a Idempotency,
    attempt: Option<Attempt>,
}

impl Idempotency {
    /// Begins a request. 409 if it is already running, 422 if its key was used for another one.
    pub async fn begin(&self, app: &App, attempt: Option<Attempt>) -> Result<Begun<'_>, Problem> {
        if let Some(Attempt { user, key, .. }) = &attempt
            && !self.running().insert((*user, key.clone()))
        {
            return Err(still_running());
        }
        let running = Running { idempotency: self, attempt };
        let Some(Attempt { user, key, fingerprint }) = &running.attempt else {
            return Ok(Begun::Now(running));
        };
        let find = async { store::find(&mut app.db.read().await?, *user, key).await };
        let kept = Box::pin(find).await?;
        let oldest = app.clock.wall().before(REMEMBERED);
        match kept.filter(|kept| kept.created_at >= oldest) {
            None => Ok(Begun::Now(running)),
            Some(kept) if fingerprint.matches(kept.key_id, &kept.fingerprint) == Some(false) => {
                Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "idempotency_key_reused",
                    "This Idempotency-Key was used for another request.",
                ))
            }
            Some(kept) => Ok(Begun::Before(replay(kept)?)),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashSet<(UserId, String)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often keys that are no longer remembered are removed.
const FORGETTING: Duration = Duration::from_mins(10);

/// Removes keys that are no longer remembered, until `stopping` is cancelled.
pub async fn forget_regularly(app: AppState, stopping: CancellationToken) {
    while stopping.run_until_cancelled(tokio::time::sleep(FORGETTING)).await.is_some() {
        let moment = app.clock.wall().before(REMEMBERED);
        let forgotten = app
            .db
            .write(move |conn| Box::pin(async move { store::forget_before(conn, moment).await }));
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "old idempotency keys cannot be removed");
        }
    }
}

/// The problem of a request whose first attempt has not been answered yet.
pub fn still_running() -> Problem {
    let why = "A request with this Idempotency-Key is still running.";
    Problem::conflict("idempotency_key_running", why).retry_after(1)
}

fn replay(kept: store::Kept) -> Result<Response, Problem> {
    let status = u16::try_from(kept.status).ok().and_then(|s| StatusCode::from_u16(s).ok());
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true")),
    ];
    Ok((status.ok_or_else(Problem::internal)?, headers, kept.response).into_response())
}

impl Running<'_> {
    /// What to store in the transaction of what the request makes; nothing if it has no key.
    pub fn record(&self, now: Timestamp) -> Result<Option<Record>, Problem> {
        let Some(Attempt { user, key, fingerprint }) = &self.attempt else { return Ok(None) };
        let (key_id, print) = fingerprint.newest().ok_or_else(Problem::internal)?;
        Ok(Some(Record {
            user: *user,
            key: key.clone(),
            key_id: key_id.number(),
            fingerprint: print.to_vec(),
            created_at: now,
        }))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(Attempt { user, key, .. }) = self.attempt.take() {
            self.idempotency.running().remove(&(user, key));
        }
    }
}
