use axum::extract::State;
use http::StatusCode;
use shared::problem::Problem;
use shared::relay::Signals;

use super::signed::Signed;
use crate::app::AppState;
use crate::http::parse;
use crate::realtime;

/// `POST /relay/v1/signals/`: hears who of a peer's users writes, is there or has gone. Nothing of it is kept.
#[utoipa::path(
    post,
    path = "/signals",
    tag = "Relay",
    summary = "Hear who writes and who is there",
    description = "For peers alone. Nothing of it is kept, and what does not concern anybody here does not count.",
    security(("service" = [])),
    request_body(content = Object, description = "Up to 500 users in `online`, `offline` and `typing`."),
    responses(
        (status = 204, description = "It was heard."),
        (status = 429, description = "`too_many_signals`."),
    )
)]
pub async fn signals(
    State(app): State<AppState>,
    Signed { peer, body }: Signed,
) -> Result<StatusCode, Problem> {
    let signals: Signals = parse(&body)?;
    realtime::take_signals(&app, &peer, signals).await?;
    Ok(StatusCode::NO_CONTENT)
}
