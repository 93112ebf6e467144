//! Conversations and who takes part in them.

mod create;
mod delete;
mod edit;
mod get;
mod group;
mod list;
mod membership;
mod merge;
mod participant;
mod participants;
mod read;
mod search;
mod store;
mod view;

use std::sync::Arc;

use shared::id::{ConversationId, UserId};
use shared::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, AppState};
use crate::messages;

pub use create::direct;
pub use membership::{Member, Membership, Memberships};
pub use merge::{Merge, Place, merge};
pub use store::state;
pub use view::one;

/// Participants of a conversation, at most.
pub const MAX_PARTICIPANTS: usize = 500;
/// Characters of a title, at most.
pub const MAX_TITLE: usize = 200;

/// The routes under `/api/chats/conversations`; their answers hold messages, so the encryption layers wrap them.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, edit::edit, delete::delete))
        .routes(routes!(participants::add_participants))
        .routes(routes!(participant::set_role, participant::remove_participant))
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

/// Who takes part in a conversation, for somebody who does or did; 404 for everybody else.
async fn takes_part(
    app: &App,
    id: ConversationId,
    user: UserId,
) -> Result<Arc<Membership>, Problem> {
    let membership = app.memberships.of(app, id).await?;
    membership.filter(|m| m.member(user).is_some()).ok_or_else(Problem::not_found)
}
