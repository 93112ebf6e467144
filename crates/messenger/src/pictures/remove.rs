use axum::extract::State;
use http::StatusCode;
use shared::problem::Problem;

use super::store;
use crate::accounts::{self, CurrentUser};
use crate::app::AppState;
use crate::http::Trace;

/// `DELETE /api/auth/me/picture/`: the caller has no picture any more, on the apps of others too. 204, also if they
/// had none.
#[utoipa::path(
    delete,
    path = "/picture",
    tag = "Accounts",
    summary = "Remove the own picture",
    description = "Also a success if there is none.",
    responses((status = 204, description = "There is none any more."))
)]
pub async fn remove(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
) -> Result<StatusCode, Problem> {
    let owner = user.id();
    let removed = accounts::change_card(&app, &user, &trace, move |conn, card| {
        Box::pin(async move {
            store::forget(conn, owner).await?;
            card.picture = None;
            Ok(())
        })
    });
    removed.await.map(|_| StatusCode::NO_CONTENT)
}
