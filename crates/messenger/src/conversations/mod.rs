//! Conversations and who takes part in them.

mod create;
mod get;
mod list;
mod membership;
mod merge;
mod read;
mod store;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::messages;

pub use create::direct;
pub use membership::{Member, Membership, Memberships};
pub use merge::merge;
pub use store::state;

/// Participants of a conversation, at most.
pub const MAX_PARTICIPANTS: usize = 500;
/// Characters of a title, at most.
pub const MAX_TITLE: usize = 200;

/// The routes under `/api/chats/conversations`; their answers hold messages, so the encryption layers wrap them.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get))
        .routes(routes!(messages::list::list_in))
        .routes(routes!(read::read))
}

/// What is wrong with a title, if anything.
fn title_fault(title: &str) -> Option<&'static str> {
    let length = title.chars().count();
    let sound = (1..=MAX_TITLE).contains(&length)
        && !title.trim().is_empty()
        && !title.chars().any(char::is_control);
    (!sound).then_some("A title has 1 to 200 characters and no control characters.")
}
