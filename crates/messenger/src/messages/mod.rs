//! Messages. Nothing in here can read one: content is a token from the request layer to the response layer.

mod delete;
mod edit;
mod filter;
mod get;
mod inbox;
pub(crate) mod list;
mod outgoing;
mod sealed_json;
mod send;
mod store;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::{openapi, receipts};

pub(crate) use filter::unread;
pub use outgoing::Outgoing;
pub(crate) use store::state_columns;
pub use store::{fail, merge, owners, relayed, renew, requeue, state};
pub use view::{by_ids, visible};

/// The routes under `/api/chats/messages`, which the encryption layers wrap.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list::list, send::send))
        .routes(routes!(get::get, edit::edit, delete::delete))
        .routes(routes!(receipts::list::list))
}

/// The routes under `/api/messages`, which the encryption layers wrap.
pub fn inbox_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(openapi::under("/send", routes!(send::send)))
        .routes(routes!(inbox::inbox))
}
