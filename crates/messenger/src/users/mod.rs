//! Who is who: the users of this app and those of its peers, as everybody may see them.

mod directory;
mod get_by_username;
mod store;

use axum::Router;
use axum::routing::get;

use crate::app::AppState;

pub use directory::Directory;
pub use store::{adopt, by_id, by_name, card, insert_local, take_in, weigh};

/// The routes under `/api/users`.
pub fn routes() -> Router<AppState> {
    Router::new().route("/get_by_username", get(get_by_username::get_by_username))
}
