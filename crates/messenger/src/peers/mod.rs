//! The other apps as an operator sees them: whether they can be reached, and what waits for them.
//!
//! The process that sends to a peer writes down how it fares ([`Standing`]), so that every replica and the command line
//! can tell.

mod list;
mod standing;
mod store;
mod try_now;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub use list::{PeerError, PeerView, views};
pub use standing::Standing;
pub use try_now::try_now;

/// The routes under `/api/admin/peers`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(list::list))
}
