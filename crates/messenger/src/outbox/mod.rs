//! What waits for the peers, and what has failed for them, as an operator sees it and does something about it.
//!
//! The API and the command line call the same functions: [`depths`], [`entries`], [`retry`] and [`drop_waiting`].

mod entry;
mod give_up;
mod list;
mod retry;
mod retry_all;
mod retry_one;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub use entry::{EntryId, EntryState, OutboxEntry};
pub use give_up::drop_waiting;
pub use list::entries;
pub use retry::{Retried, Selection, retry};
pub use store::{Depth, Filter, count, depths};

/// The routes under `/api/admin/outbox`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list::list))
        .routes(routes!(retry_all::retry_all))
        .routes(routes!(retry_one::retry_one))
}
