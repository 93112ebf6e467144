use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use shared::id::{ConversationId, MessageId};
use shared::models::{Message, NewMessage};
use shared::problem::Problem;

use super::outgoing::NewRow;
use super::sealed_json::SealedJson;
use super::view;
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::conversations;
use crate::http::{Json, Trace};
use crate::idempotency::{Attempt, Begun, IdempotencyParams};

/// `POST /api/chats/messages/` and `POST /api/messages/send/`: 201 once message and outbox row are on disk.
#[utoipa::path(
    post,
    path = "/",
    tag = "Messages",
    summary = "Send a message",
    description = "Send either `conversation` or `recipient`; for a recipient, the direct conversation is made when there is \
        none. 201 means that the message is on disk. With an `Idempotency-Key` a repeat has no second effect.",
    params(IdempotencyParams),
    request_body = NewMessage,
    responses(
        (status = 201, description = "The message.", body = Message),
        (status = 404, description = "The caller does not know of such a conversation, or there is no such recipient."),
        (status = 409, description = "`conversation_ended`; or `idempotency_key_running`: the first request with this `Idempotency-Key` is still running."),
        (status = 422, description = "`idempotency_key_reused`: the key has been used for another request."),
    )
)]
pub async fn send(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    attempt: Option<Attempt>,
    SealedJson { sealed, terms, body }: SealedJson<NewMessage>,
) -> Result<Response, Problem> {
    // What is seldom on the way has its room apart from it, so that a request is small: `Box::pin` here and below.
    let running = match app.idempotency.begin(&app, attempt).await? {
        Begun::Before(response) => return Ok(response),
        Begun::Now(running) => running,
    };
    let conversation = place(&app, &user, &body, &trace).await?;
    let membership = app.memberships.of(&app, conversation).await?;
    let membership = membership.filter(|m| m.active(user.id()).is_some());
    let membership = membership.ok_or_else(Problem::not_found)?;
    if membership.ended_at().is_some() {
        return Err(ended());
    }
    let peers = membership.elsewhere().clone();
    if let Some(parent) = body.parent {
        Box::pin(check_parent(&app, &user, conversation, parent)).await?;
    }
    let record = running.record(app.clock.wall())?;
    let row = NewRow {
        id: sealed.message,
        conversation,
        sender: user.card().clone(),
        parent: body.parent,
        content: body.content,
        terms,
        peers: peers.clone(),
        trace: trace.id,
        record,
    };
    let message = app.outgoing.submit(row).await?;
    app.relay.wake(&peers);
    tracing::debug!(message = %message.id, "stored");
    Ok((StatusCode::CREATED, Json(message)).into_response())
}

/// 409: nothing more is written where an owner has ended it.
pub fn ended() -> Problem {
    Problem::conflict("conversation_ended", "This conversation has been ended.")
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
            let found = Box::pin(app.directory.find(&app.relay, name)).await?;
            let recipient = found.ok_or_else(|| {
                Problem::new(StatusCode::NOT_FOUND, "unknown_recipient", "There is no such user.")
            })?;
            if recipient.id == user.id() {
                let why = "A message goes to somebody else.";
                return Err(Problem::invalid().field("recipient", why));
            }
            Box::pin(conversations::direct(app, user.card(), &recipient, trace)).await
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
    let found = view::visible(&mut app.db.read().await?, parent, user.id()).await?;
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
