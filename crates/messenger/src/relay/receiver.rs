use axum::extract::State;
use serde_json::value::RawValue;
use shared::problem::Problem;
use shared::relay::{Batch, BatchResult, MAX_BATCH};

use super::ingest::ingest;
use super::signed::Signed;
use crate::app::AppState;
use crate::http::{Json, Trace, parse};
use crate::spans::What;

/// `POST /relay/v1/events/`: takes in a batch of a peer's events and answers how far its stream has been settled.
#[utoipa::path(
    post,
    path = "/events",
    tag = "Relay",
    summary = "Take in a batch of events",
    description = "For peers alone. The answer says how far the peer's stream has been settled, and what came of each event.",
    security(("service" = [])),
    request_body(content = Object, description = "A batch of up to 500 consecutive events; see `docs/ARCHITECTURE.md`."),
    responses(
        (status = 200, description = "What came of the batch.", body = Object),
        (status = 403, description = "`not_your_stream`: a peer sends its own events alone."),
        (status = 409, description = "`stale_stream`: there is a newer stream of this peer."),
    )
)]
pub async fn events(
    State(app): State<AppState>,
    trace: Trace,
    Signed { peer, body }: Signed,
) -> Result<Json<BatchResult>, Problem> {
    let batch: Batch<&RawValue> = parse(&body)?;
    if batch.origin != peer {
        return Err(Problem::forbidden("not_your_stream", "A peer sends its own events alone."));
    }
    if batch.events.len() > MAX_BATCH {
        return Err(Problem::invalid().field("events", "A batch has at most 500 events."));
    }
    let from_one = batch.events.first().is_none_or(|event| event.seq >= 1);
    let consecutive =
        batch.events.windows(2).all(|pair| pair[0].seq.checked_add(1) == Some(pair[1].seq));
    if !from_one || !consecutive {
        let why = "The events of a batch are consecutive, and the first of a stream is number 1.";
        return Err(Problem::invalid().field("events", why));
    }
    let Some(told) = app.spans.begin(trace.id, trace.span) else {
        return ingest(&app, batch).await.map(Json);
    };
    let traces: Vec<_> = batch.events.iter().filter_map(|event| event.trace).collect();
    let events = batch.events.len();
    let answer = ingest(&app, batch).await;
    let failure = answer.is_err().then_some("ingest");
    told.end_in(traces, What::TakenIn { peer, events, failure });
    answer.map(Json)
}
