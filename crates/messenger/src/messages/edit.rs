use axum::extract::State;
use shared::encryption::SealedContent;
use shared::id::MessageId;
use shared::models::{EditMessage, Message};
use shared::problem::Problem;
use shared::time::Timestamp;

use super::sealed_json::SealedJson;
use super::send::ended;
use super::{store, view};
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::http::{Json, PathId, Trace};
use crate::realtime::{self, EventKind, NewEntry};
use crate::relay;

/// `PUT` and `PATCH /api/chats/messages/{id}/`: a new text, by the sender alone.
#[utoipa::path(
    method(put, patch),
    path = "/{id}",
    tag = "Messages",
    summary = "Edit a message",
    description = "Gives it a new text, by its sender alone.",
    params(("id" = MessageId, Path, description = "A message.")),
    request_body = EditMessage,
    responses(
        (status = 200, description = "The message with its new text.", body = Message),
        (status = 403, description = "`not_the_sender`, or `not_a_participant` any more."),
        (status = 404, description = "The caller does not know of such a message."),
        (status = 409, description = "`message_deleted`, `conversation_ended`, or `edit_conflict` with a change at the same time."),
    )
)]
pub async fn edit(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    PathId(id): PathId<MessageId>,
    SealedJson { sealed, terms, body }: SealedJson<EditMessage>,
) -> Result<Json<Message>, Problem> {
    let message = own(&app, &user, id).await?;
    if message.deleted_at.is_some() {
        return Err(Problem::conflict("message_deleted", "A deleted message cannot be edited."));
    }
    // The layer bound the token to the message that the path spells out. Under another spelling of the id, escaped
    // for instance, it did not see which one that is, and the token would never open.
    if sealed.message != id {
        return Err(Problem::not_found());
    }
    let membership = app.memberships.of(&app, message.conversation).await?;
    let membership = membership.ok_or_else(Problem::not_found)?;
    if membership.ended_at().is_some() {
        return Err(ended());
    }
    let peers = membership.elsewhere().clone();
    let (token, revision, events, trace) =
        (body.content.clone(), sealed.revision, peers.clone(), trace.id);
    let (conversation, edited_at) = (message.conversation, Timestamp::from_micros(revision));
    let edited = app
        .db
        .write(move |conn| {
            Box::pin(async move {
                let edited = store::edit(conn, id, &token, &terms, revision).await?;
                if edited {
                    let kind = EventKind::MessageUpdated;
                    let entry = NewEntry::message(kind, conversation, id, edited_at);
                    realtime::append(conn, &[entry]).await?;
                    relay::append_change(conn, &events, id, trace, edited_at).await?;
                }
                Ok::<_, Problem>(edited)
            })
        })
        .await?;
    if !edited {
        return Err(Problem::conflict(
            "edit_conflict",
            "The message was changed or deleted at the same time; look at it again.",
        ));
    }
    app.relay.wake(&peers);
    let content = SealedContent::new(id, user.id(), revision, body.content);
    Ok(Json(Message { content: Some(content), edited_at: Some(edited_at), ..message }))
}

/// A message of the caller's own; 404 if they may not see it, 403 if it is somebody else's or they have left.
pub async fn own(app: &App, user: &CurrentUser, id: MessageId) -> Result<Message, Problem> {
    let message = view::visible(&mut app.db.read().await?, id, user.id()).await?;
    let message = message.ok_or_else(Problem::not_found)?;
    if message.sender.id != user.id() {
        return Err(Problem::forbidden("not_the_sender", "Only its sender may change a message."));
    }
    let membership = app.memberships.of(app, message.conversation).await?;
    if membership.is_none_or(|membership| membership.active(user.id()).is_none()) {
        return Err(Problem::forbidden("not_a_participant", "You have left this conversation."));
    }
    Ok(message)
}
