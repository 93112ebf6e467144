use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use shared::address::AppName;
use shared::models::Page;
use shared::problem::Problem;
use shared::time::Timestamp;
use utoipa::ToSchema;

use super::standing::HEARTBEAT;
use super::store::{self, Record};
use crate::accounts::Admin;
use crate::app::{App, AppState};
use crate::http::{Json, PageParams, PageRequest};
use crate::outbox;
use crate::relay::{Cause, PeerClient};

/// How long after its last answer a peer still counts as up: one heartbeat may be missed.
const UP_FOR: Duration = HEARTBEAT.saturating_mul(3);

/// Another app, and how this one fares with it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerView {
    /// Its name.
    pub name: AppName,
    /// Where it is, without credentials.
    #[schema(example = "http://127.0.0.1:8002")]
    pub url: String,
    /// Whether the last attempt to reach it has succeeded, and lately.
    pub up: bool,
    /// When it last took a request of this app, to ten seconds; null if it never has.
    #[schema(required)]
    pub last_seen_at: Option<Timestamp>,
    /// The last failure, even if it has been reached since; null if there has been none.
    #[schema(required)]
    pub last_error: Option<PeerError>,
    /// When it will be tried again; null if nothing is wrong.
    #[schema(required)]
    pub retry_at: Option<Timestamp>,
    /// Events that wait for it in the outbox.
    #[schema(minimum = 0, example = 0)]
    pub waiting: i64,
    /// When the oldest of them was written.
    #[schema(required)]
    pub oldest_waiting_at: Option<Timestamp>,
    /// Messages that have failed for it, and may be sent again.
    #[schema(minimum = 0, example = 0)]
    pub failed: i64,
}

/// Why a peer could not be reached.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerError {
    /// `unreachable`, `timeout`, `unauthorized`, `busy`, `too_large`, `rejected`, `bad_answer`, `stale_stream` or `internal`.
    #[schema(example = "unreachable")]
    pub code: String,
    /// One sentence, with what to look at.
    pub detail: &'static str,
    /// When that was.
    pub at: Timestamp,
}

/// `GET /api/admin/peers/`, for admins: the other apps by name, whether they can be reached, and what waits for them.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "list_peers",
    tag = "Admin",
    summary = "List the peers",
    description = "The other apps by name: whether they can be reached, and what waits for them. A peer that nothing is sent to \
        is asked every 30 seconds whether it is there.",
    params(PageParams),
    responses(
        (status = 200, description = "A page of peers.", body = Page<PeerView>),
        (status = 403, description = "`admins_only`"),
    )
)]
pub async fn list(
    State(app): State<AppState>,
    Admin(admin): Admin,
    page: PageRequest,
) -> Result<Json<Page<PeerView>>, Problem> {
    let window = page.window(admin.id())?;
    let peers = views(&app).await?;
    let count = i64::try_from(peers.len()).ok();
    let peers = window.cut(peers, |peer| peer.name.to_string());
    page.answer(&window, count, peers, |peer| peer.name.to_string()).map(Json)
}

/// Every peer of the configuration, by name, as the database knows of it; any process may ask.
pub async fn views(app: &App) -> Result<Vec<PeerView>, Problem> {
    let mut conn = app.db.read().await?;
    let records = store::records(&mut conn).await?;
    let depths = outbox::depths(&mut conn).await?;
    let now = app.clock.wall();
    let mut peers: Vec<_> = app.relay.clients().collect();
    peers.sort_unstable_by_key(|(name, _)| *name);
    let view = |(name, client): (&AppName, &Arc<PeerClient>)| {
        view(name, client.url().as_str().trim_end_matches('/').to_owned(), &records, &depths, now)
    };
    Ok(peers.into_iter().map(view).collect())
}

fn view(
    name: &AppName,
    url: String,
    records: &HashMap<AppName, Record>,
    depths: &HashMap<AppName, outbox::Depth>,
    now: Timestamp,
) -> PeerView {
    let record = records.get(name).cloned().unwrap_or_default();
    let depth = depths.get(name).cloned().unwrap_or_default();
    let is_failing = record.failed_at > record.seen_at;
    let error = record.error.zip(record.failed_at).map(|(code, at)| {
        let detail = Cause::of_code(&code).map_or("", Cause::about);
        PeerError { code, detail, at }
    });
    PeerView {
        name: name.clone(),
        url,
        up: !is_failing && record.seen_at.is_some_and(|at| now < at.after(UP_FOR)),
        last_seen_at: record.seen_at,
        last_error: error,
        retry_at: record.retry_at.filter(|_| is_failing),
        waiting: depth.waiting,
        oldest_waiting_at: depth.oldest_waiting_at,
        failed: depth.failed,
    }
}
