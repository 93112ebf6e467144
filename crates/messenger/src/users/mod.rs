//! Who is who: the users of this app and those of its peers, as everybody may see them.

mod directory;
mod get_by_username;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub use directory::Directory;
pub use store::{adopt, by_id, by_name, card, insert_local, take_in, weigh};

/// The routes under `/api/users`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_by_username::get_by_username))
}
