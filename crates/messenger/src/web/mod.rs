//! The web interface: the files that `make web` has built, and what a page has to know of the app that serves it.

mod about;
mod asset;
mod page;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub use about::About;
pub use page::page;

/// The route `/api/about`, which needs no session.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(about::about))
}
