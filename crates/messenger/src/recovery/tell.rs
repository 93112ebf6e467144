use axum::extract::State;
use http::StatusCode;
use shared::address::AppName;
use shared::problem::Problem;
use shared::relay::RecoveryRequest;
use shared::time::Timestamp;
use uuid::Uuid;

use super::MARGIN;
use super::store::{self, Piece, Telling};
use crate::app::{App, AppState};
use crate::db::{Conn, Result};
use crate::http::parse;
use crate::relay::{self, EventKind, NewEvent, Signed};

/// Events that are appended in one transaction, about.
const PIECE: usize = 400;

/// `POST /relay/v1/recovery/`: a peer that was restored from a backup asks for what has happened since.
#[utoipa::path(
    post,
    path = "/recovery",
    tag = "Relay",
    summary = "Ask for what has happened since a backup",
    description = "For peers alone. What this app has of the time since, and that the peer had or should have had, is appended to the stream to the peer.",
    security(("service" = [])),
    request_body(content = Object, description = "Which restore, and since when."),
    responses((status = 202, description = "It will come with the stream."))
)]
pub async fn recover(
    State(app): State<AppState>,
    Signed { peer, body }: Signed,
) -> Result<StatusCode, Problem> {
    let RecoveryRequest { id, since } = parse(&body)?;
    // What waited here for as long as anything does may have been written that much before the peer had it.
    let since = since.before(app.relay.give_up_after).before(MARGIN);
    tracing::warn!(%peer, %since, "the peer was restored from a backup and is told again");
    let name = peer.clone();
    let noted = app
        .db
        .write(move |conn| Box::pin(async move { store::enter(conn, &name, id, since).await }));
    noted.await?;
    app.relay.wake(&[peer]);
    Ok(StatusCode::ACCEPTED)
}

/// Appends the next piece of what a peer that was restored is to be told, if there is such a peer. Whoever has its lease
/// does so while little waits in the outbox, so that it never holds much more than a piece.
pub async fn tell(app: &App, peer: &AppName) -> Result<()> {
    if store::telling(&mut app.db.read().await?, peer).await?.is_none() {
        return Ok(());
    }
    let (own, name, now) = (app.name.clone(), peer.clone(), app.clock.now());
    let told = app.db.write(move |conn| {
        Box::pin(async move {
            let Some(telling) = store::telling(conn, &name).await? else { return Ok(()) };
            let events = next(conn, &own, &name, telling, now).await?;
            relay::append(conn, &name, &events).await
        })
    });
    told.await?;
    app.relay.wake(std::slice::from_ref(peer));
    Ok(())
}

/// What is to be told next, noted as told.
async fn next(
    conn: &mut Conn,
    own: &AppName,
    peer: &AppName,
    mut telling: Telling,
    now: Timestamp,
) -> Result<Vec<NewEvent>> {
    let trace = Uuid::from_u128(rand::random());
    let event = |kind, subject| NewEvent { kind, subject, trace, at: now };
    let mut events = Vec::new();
    if telling.conversation.is_none() {
        let users = store::users(conn, own, telling.since).await?;
        events.extend(users.into_iter().map(|id| event(EventKind::User, id)));
    }
    while events.len() < PIECE {
        if let Some(conversation) = telling.conversation {
            let (since, after, limit) = (telling.since, telling.told, PIECE - events.len());
            let piece = Piece { own, peer, conversation, since, after, limit };
            let messages = store::messages(conn, &piece).await?;
            let is_full = messages.len() == limit;
            telling.told = messages.last().copied().unwrap_or(telling.told);
            let messages = messages.into_iter().map(|(_, id)| id.uuid());
            events.extend(messages.map(|id| event(EventKind::MessageChange, id)));
            if is_full {
                break;
            }
            let registers = store::registers(conn, own, peer, conversation).await?;
            events.extend(registers.into_iter().map(|id| event(EventKind::Receipt, id)));
        }
        let Some(conversation) = store::next_conversation(conn, peer, telling.conversation).await?
        else {
            events.push(event(EventKind::Recovered, telling.id));
            store::leave(conn, peer).await?;
            return Ok(events);
        };
        events.push(event(EventKind::Conversation, conversation.uuid()));
        telling.conversation = Some(conversation);
        telling.told = (Timestamp::from_micros(0), Uuid::nil().into());
    }
    store::told(conn, peer, &telling).await?;
    Ok(events)
}
