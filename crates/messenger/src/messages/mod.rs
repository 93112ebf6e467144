//! Messages. Nothing in here can read one: content is a token from the request layer to the response layer.

mod delete;
mod edit;
mod filter;
mod get;
mod inbox;
mod list;
mod outgoing;
mod sealed_json;
mod send;
mod store;

use axum::Router;
use axum::routing::{get, post};

use crate::app::AppState;

pub use list::list_in;
pub use outgoing::Outgoing;
pub(crate) use store::state_columns;
pub use store::{by_ids, fail, merge, owners, relayed, state, visible};

/// Characters of a message, at most.
const MAX_CHARACTERS: usize = 20_000;

/// The routes under `/api/chats/messages`, which the encryption layers wrap.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list::list).post(send::send))
        .route("/{id}", get(get::get).put(edit::edit).patch(edit::edit).delete(delete::delete))
}

/// The routes under `/api/messages`, which the encryption layers wrap.
pub fn inbox_routes() -> Router<AppState> {
    Router::new().route("/send", post(send::send)).route("/inbox", get(inbox::inbox))
}
