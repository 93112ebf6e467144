use axum::extract::State;
use http::Method;
use shared::id::ConversationId;
use shared::models::{Conversation, EditConversation};
use shared::problem::Problem;
use shared::relay::Deed;

use super::{group, takes_part, title_fault, view};
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PathId, Trace};

/// `PUT` and `PATCH /api/chats/conversations/{id}/`: another title for a group, by its owners and admins.
#[utoipa::path(
    method(put, patch),
    path = "/{id}",
    tag = "Conversations",
    summary = "Rename a group",
    description = "By its owners and admins. Nothing but the title is ever set; a `PUT` has to name it.",
    params(("id" = ConversationId, Path, description = "A conversation.")),
    request_body = EditConversation,
    responses(
        (status = 200, description = "The group with its new title.", body = Conversation),
        (status = 403, description = "`not_permitted`: the caller's role does not allow it; `not_a_participant`: the caller has left."),
        (status = 404, description = "The caller does not know of such a conversation."),
        (status = 409, description = "`direct_conversation`, `conversation_ended`, or `too_many_changes`."),
    )
)]
pub async fn edit(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    method: Method,
    PathId(id): PathId<ConversationId>,
    Json(body): Json<EditConversation>,
) -> Result<Json<Conversation>, Problem> {
    takes_part(&app, id, user.id()).await?;
    let Some(title) = body.title else {
        if method == Method::PUT {
            return Err(Problem::invalid().field("title", "This field is required."));
        }
        let conversation = view::one(&mut app.db.read().await?, id, user.id()).await?;
        return conversation.map(Json).ok_or_else(Problem::not_found);
    };
    if let Some(why) = title.as_deref().and_then(title_fault) {
        return Err(Problem::invalid().field("title", why));
    }
    let deeds = vec![Deed::Title { title }];
    let changed = group::change(&app, id, user.id(), deeds, trace.id).await?;
    Ok(Json(changed.conversation))
}
