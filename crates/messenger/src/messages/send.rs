use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use shared::encryption::SealedContent;
use shared::id::{ConversationId, MessageId};
use shared::models::{Message, NewMessage};
use shared::problem::Problem;

use super::outgoing::NewRow;
use super::sealed_json::SealedJson;
use super::store;
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::conversations;
use crate::http::{Json, Trace};

/// `POST /api/chats/messages/` and `POST /api/messages/send/`: 201 once message and outbox row are on disk.
pub async fn send(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    SealedJson { sealed, body }: SealedJson<NewMessage>,
) -> Result<impl IntoResponse, Problem> {
    let conversation = place(&app, &user, &body, &trace).await?;
    let membership = app.memberships.of(&app, conversation).await?;
    let membership = membership.filter(|m| m.active(user.id()).is_some());
    let peers = membership.ok_or_else(Problem::not_found)?.elsewhere().clone();
    if let Some(parent) = body.parent {
        check_parent(&app, &user, conversation, parent).await?;
    }
    let row = NewRow {
        id: sealed.message,
        conversation,
        sender: user.id(),
        parent: body.parent,
        content: body.content.clone(),
        peers: peers.clone(),
        trace: trace.id,
    };
    let stored = app.outgoing.submit(row).await?;
    app.relay.wake(&peers);
    tracing::debug!(message = %sealed.message, "stored");
    let message = Message {
        id: sealed.message,
        conversation,
        sender: user.card().clone(),
        content: Some(SealedContent::new(sealed.message, user.id(), 0, body.content)),
        parent: body.parent,
        status: stored.status,
        status_reason: None,
        created_at: stored.created_at,
        edited_at: None,
        deleted_at: None,
        origin: app.name.clone(),
    };
    Ok((StatusCode::CREATED, Json(message)))
}

/// The conversation that a body names, or the direct one with the recipient that it names.
async fn place(
    app: &App,
    user: &CurrentUser,
    body: &NewMessage,
    trace: &Trace,
) -> Result<ConversationId, Problem> {
    match (body.conversation, &body.recipient) {
        (Some(conversation), None) => Ok(conversation),
        (None, Some(name)) => {
            let recipient = app.directory.find(&app.relay, name).await?.ok_or_else(|| {
                Problem::new(StatusCode::NOT_FOUND, "unknown_recipient", "There is no such user.")
            })?;
            if recipient.id == user.id() {
                let why = "A message goes to somebody else.";
                return Err(Problem::invalid().field("recipient", why));
            }
            conversations::direct(app, user.card(), &recipient, trace).await.map(|(id, _)| id)
        }
        (None, None) => {
            Err(Problem::invalid().field("conversation", "Send either conversation or recipient."))
        }
        (Some(_), Some(_)) => {
            Err(Problem::invalid().field("recipient", "Send either conversation or recipient."))
        }
    }
}

async fn check_parent(
    app: &App,
    user: &CurrentUser,
    conversation: ConversationId,
    parent: MessageId,
) -> Result<(), Problem> {
    let found = store::visible(&mut app.db.read().await?, parent, user.id()).await?;
    match found.filter(|found| found.conversation == conversation) {
        None => {
            Err(Problem::invalid()
                .field("parent", "There is no such message in this conversation."))
        }
        Some(found) if found.deleted_at.is_some() => {
            Err(Problem::invalid().field("parent", "That message has been deleted."))
        }
        Some(_) => Ok(()),
    }
}
