use axum::extract::{Path, State};
use http::StatusCode;
use shared::id::{ConversationId, UserId};
use shared::models::{ConversationKind, EditParticipant, Participant};
use shared::problem::Problem;
use shared::relay::Deed;

use super::{group, takes_part};
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::http::{Json, Trace};

/// `PATCH /api/chats/conversations/{id}/participants/{user}/`: another role for somebody, by an owner.
#[utoipa::path(
    patch,
    path = "/{id}/participants/{user}",
    tag = "Conversations",
    summary = "Give a participant another role",
    description = "By the owners of a group.",
    params(
        ("id" = ConversationId, Path, description = "A conversation."),
        ("user" = String, Path, description = "An id, a username of this app or an address.", example = "bob@app-b"),
    ),
    request_body = EditParticipant,
    responses(
        (status = 200, description = "The participant with the new role.", body = Participant),
        (status = 403, description = "`not_permitted`: only owners give roles; `not_a_participant`: the caller has left."),
        (status = 404, description = "The caller does not know of such a conversation, or nobody of that name takes part."),
        (status = 409, description = "`last_owner`: the caller is the only owner; `direct_conversation`, `conversation_ended`, or `too_many_changes`."),
    )
)]
pub async fn set_role(
    State(app): State<AppState>,
    caller: CurrentUser,
    trace: Trace,
    Path((id, name)): Path<(String, String)>,
    Json(body): Json<EditParticipant>,
) -> Result<Json<Participant>, Problem> {
    let (id, user) = whom(&app, &caller, &id, &name).await?;
    let deeds = vec![Deed::Role { user, role: body.role }];
    let changed = group::change(&app, id, caller.id(), deeds, trace.id).await?;
    let mut participants = changed.conversation.participants.into_iter();
    participants.find(|p| p.user.id == user).map(Json).ok_or_else(Problem::not_found)
}

/// `DELETE /api/chats/conversations/{id}/participants/{user}/`: takes somebody out of a group, or leaves it. What was
/// written until then stays readable to them.
#[utoipa::path(
    delete,
    path = "/{id}/participants/{user}",
    tag = "Conversations",
    summary = "Remove a participant, or leave",
    description = "Everybody may leave; owners remove anybody, admins remove members. What was written until then stays \
        readable to who has left. Leaving twice is a success.",
    params(
        ("id" = ConversationId, Path, description = "A conversation."),
        ("user" = String, Path, description = "An id, a username of this app or an address.", example = "bob@app-b"),
    ),
    responses(
        (status = 204, description = "They take part no more."),
        (status = 403, description = "`not_permitted`: the caller's role does not allow it; `not_a_participant`: the caller has left."),
        (status = 404, description = "The caller does not know of such a conversation, or nobody of that name takes part."),
        (status = 409, description = "`last_owner`: the caller is the only owner; `direct_conversation`, `conversation_ended`, or `too_many_changes`."),
    )
)]
pub async fn remove_participant(
    State(app): State<AppState>,
    caller: CurrentUser,
    trace: Trace,
    Path((id, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (id, user) = whom(&app, &caller, &id, &name).await?;
    group::change(&app, id, caller.id(), vec![Deed::Remove { user }], trace.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The conversation and the participant that a path names, by an id, a username of this app or an address. 404 if the
/// caller has nothing to do with the one, or the other does not take part in it.
async fn whom(
    app: &App,
    caller: &CurrentUser,
    id: &str,
    name: &str,
) -> Result<(ConversationId, UserId), Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let membership = takes_part(app, id, caller.id()).await?;
    if membership.kind() == ConversationKind::Direct {
        return Err(group::direct());
    }
    let user = app.directory.find_known(name).await?.ok_or_else(Problem::not_found)?;
    // Leaving twice is a success, as nothing is different then.
    let there = user.id == caller.id() || membership.active(user.id).is_some();
    if there { Ok((id, user.id)) } else { Err(Problem::not_found()) }
}
