//! Who has changed what of the app itself. What is done is recorded in the transaction that does it, so that neither
//! is ever there without the other.

mod list;
mod store;

use serde_json::Value;
use shared::id::{AuditId, UserId};
use shared::time::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::db::{Conn, Result};

/// The routes under `/api/admin/audit`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(list::list))
}

/// Records that `actor`, or somebody on the command line, has done `action` to `subject` at a moment of the clock.
///
/// Call it in the transaction of what it tells of. `action` is a noun and what was done to it (`setting.changed`,
/// `user.deactivated`), `subject` what it was done to, by id, address or name, and `details` an object, with `old` and
/// `new` where something has changed. Nothing in them is secret: every admin reads them.
pub async fn record(
    conn: &mut Conn,
    actor: Option<UserId>,
    action: &'static str,
    subject: &str,
    details: Value,
    now: Timestamp,
) -> Result<()> {
    store::insert(conn, AuditId::mint(now), actor, action, subject, &details.to_string(), now).await
}
