use axum::extract::State;
use serde_json::value::RawValue;
use shared::problem::Problem;
use shared::relay::{Batch, BatchResult, MAX_BATCH};

use super::ingest::ingest;
use super::signed::Signed;
use crate::app::AppState;
use crate::http::{Json, describe};

/// `POST /relay/v1/events/`: takes in a batch of a peer's events and answers how far its stream has been settled.
pub async fn events(
    State(app): State<AppState>,
    Signed { peer, body }: Signed,
) -> Result<Json<BatchResult>, Problem> {
    let batch: Batch<&RawValue> =
        serde_json::from_slice(&body).map_err(|error| describe(".", &error))?;
    if batch.origin != peer {
        return Err(Problem::forbidden("not_your_stream", "A peer sends its own events alone."));
    }
    if batch.events.len() > MAX_BATCH {
        return Err(Problem::invalid().field("events", "A batch has at most 500 events."));
    }
    if batch.events.windows(2).any(|pair| pair[1].seq != pair[0].seq.wrapping_add(1)) {
        return Err(Problem::invalid().field("events", "The events of a batch are consecutive."));
    }
    ingest(&app, batch).await.map(Json)
}
