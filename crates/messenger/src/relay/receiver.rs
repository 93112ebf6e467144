use axum::extract::State;
use serde_json::value::RawValue;
use shared::problem::Problem;
use shared::relay::{Batch, BatchResult, MAX_BATCH};

use super::ingest::ingest;
use super::signed::Signed;
use crate::app::AppState;
use crate::http::{Json, parse};

/// `POST /relay/v1/events/`: takes in a batch of a peer's events and answers how far its stream has been settled.
pub async fn events(
    State(app): State<AppState>,
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
    ingest(&app, batch).await.map(Json)
}
