//! Who is who: the users of this app and those of its peers, as everybody may see them.

mod directory;
mod get;
mod get_by_username;
mod list;
mod merge;
mod query;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::{accounts, pictures};

pub use directory::Directory;
pub use merge::{hear, merge};
pub use query::{NoOrder, Order, UserQuery};
pub use store::{
    Cards, adopt, by_id, by_name, card, count, insert_local, page, set_active, set_card, state,
    state_by_name, take_in, touch, weigh,
};

/// The routes under `/api/users`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list::list, accounts::add::add))
        .routes(routes!(get_by_username::get_by_username))
        .routes(routes!(get::get, accounts::administer::administer))
        .routes(routes!(pictures::show::show))
}
