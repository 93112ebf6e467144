use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use shared::id::ConversationId;
use shared::models::{Conversation, ConversationKind, NewParticipants, Role};
use shared::problem::Problem;
use shared::relay::Deed;

use super::create::named;
use super::{group, takes_part};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PathId, Trace};

/// `POST /api/chats/conversations/{id}/participants/`: adds people to a group, all of them or none: 201 with the group
/// as it is then, or 200 if all of them took part already. Those who did stay what they are.
#[utoipa::path(
    post,
    path = "/{id}/participants",
    tag = "Conversations",
    summary = "Add people to a group",
    description = "By its owners and admins; only owners add owners and admins. All are added or none. Who takes part \
        already stays what they are. They see all messages that their app holds.",
    params(("id" = ConversationId, Path, description = "A conversation.")),
    request_body = NewParticipants,
    responses(
        (status = 201, description = "The group with them.", body = Conversation),
        (status = 200, description = "The group; all of them took part already.", body = Conversation),
        (status = 403, description = "`not_permitted`: the caller's role does not allow it, or the caller has left."),
        (status = 404, description = "The caller does not know of such a conversation."),
        (status = 409, description = "`direct_conversation`, `conversation_ended`, or `too_many_changes`."),
    )
)]
pub async fn add_participants(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    PathId(id): PathId<ConversationId>,
    Json(body): Json<NewParticipants>,
) -> Result<Response, Problem> {
    let membership = takes_part(&app, id, user.id()).await?;
    let role = body.role.unwrap_or(Role::Member);
    // Who may not add anybody is not told who there is.
    if membership.kind() == ConversationKind::Direct {
        return Err(group::direct());
    }
    if membership.active(user.id()).is_none_or(|member| member.role == Role::Member) {
        let why = "Owners and admins add people to a group.";
        return Err(Problem::forbidden("not_permitted", why));
    }
    if body.participants.is_empty() {
        return Err(Problem::invalid().field("participants", "Name at least one user."));
    }
    let users = named(&app, &body.participants).await?;
    let deeds = users.into_iter().map(|user| Deed::Add { user: user.id, role }).collect();
    let changed = group::change(&app, id, user.id(), deeds, trace.id).await?;
    let status = if changed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(changed.conversation)).into_response())
}
