use axum::extract::State;
use http::StatusCode;
use shared::id::ConversationId;
use shared::models::ConversationKind;
use shared::problem::Problem;
use shared::relay::Deed;

use super::{group, store, takes_part};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{PathId, Trace};

/// `DELETE /api/chats/conversations/{id}/`: ends a group for everybody, by an owner; its history stays readable. A
/// direct conversation leaves the caller's list until a new message arrives. Doing it twice is a success.
#[utoipa::path(
    delete,
    path = "/{id}",
    tag = "Conversations",
    summary = "End a group, or hide a direct conversation",
    description = "An owner ends a group for everybody; its history stays readable. A direct conversation leaves the \
        caller's list until a new message arrives. Doing it twice is a success.",
    params(("id" = ConversationId, Path, description = "A conversation.")),
    responses(
        (status = 204, description = "It is ended, or hidden."),
        (status = 403, description = "`not_permitted`: only owners end a group; `not_a_participant`: the caller has left."),
        (status = 404, description = "The caller does not know of such a conversation."),
        (status = 409, description = "`too_many_changes`."),
    )
)]
pub async fn delete(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    PathId(id): PathId<ConversationId>,
) -> Result<StatusCode, Problem> {
    let membership = takes_part(&app, id, user.id()).await?;
    if membership.kind() == ConversationKind::Direct {
        let user = user.id();
        app.db.write(move |conn| Box::pin(store::hide(conn, id, user))).await?;
    } else {
        group::change(&app, id, user.id(), vec![Deed::End], trace.id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
