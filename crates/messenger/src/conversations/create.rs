use axum::extract::State;
use axum::response::IntoResponse;
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use shared::id::ConversationId;
use shared::models::{ConversationKind, NewConversation, Role, UserCard};
use shared::problem::Problem;
use shared::relay::Change;

use super::store::{self, Founding};
use super::{MAX_PARTICIPANTS, title_fault, view};
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::http::{Json, Trace};
use crate::relay;

/// Participants looked up at once.
const LOOKUPS: usize = 16;

/// `POST /api/chats/conversations/`: 201 with the conversation, or 200 with the direct one that is there already.
pub async fn create(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    Json(body): Json<NewConversation>,
) -> Result<impl IntoResponse, Problem> {
    let others = participants(&app, &user, &body.participants).await?;
    let kind = kind(&body, others.len())?;
    if let Some(why) = body.title.as_deref().and_then(title_fault) {
        return Err(Problem::invalid().field("title", why));
    }
    let (id, created) = if let (ConversationKind::Direct, [other]) = (kind, others.as_slice()) {
        direct(&app, user.card(), other, &trace).await?
    } else {
        let id = ConversationId::mint(app.clock.now());
        (id, found(&app, id, kind, body.title, user.card(), &others, &trace).await?)
    };
    let conversation = view::one(&mut app.db.read().await?, id, user.id()).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(conversation.ok_or_else(Problem::internal)?)))
}

/// The id of the direct conversation of a user of this app and another person, made if there is none, and whether it was.
pub async fn direct(
    app: &App,
    user: &UserCard,
    other: &UserCard,
    trace: &Trace,
) -> Result<(ConversationId, bool), Problem> {
    let id = ConversationId::direct(&user.address(), &other.address());
    if app.memberships.of(app, id).await?.is_some() {
        return Ok((id, false));
    }
    let others = std::slice::from_ref(other);
    let created = found(app, id, ConversationKind::Direct, None, user, others, trace).await?;
    Ok((id, created))
}

async fn found(
    app: &App,
    id: ConversationId,
    kind: ConversationKind,
    title: Option<String>,
    creator: &UserCard,
    others: &[UserCard],
    trace: &Trace,
) -> Result<bool, Problem> {
    let now = app.clock.now();
    let role = match kind {
        ConversationKind::Direct => Role::Member,
        ConversationKind::Group => Role::Owner,
    };
    let mut participants = vec![(creator.id, role)];
    participants.extend(others.iter().map(|other| (other.id, Role::Member)));
    let mut peers: Vec<_> = others.iter().map(|user| user.app.clone()).collect();
    peers.retain(|peer| *peer != app.name);
    peers.sort_unstable();
    peers.dedup();
    let change = Change { at: now, app: app.name.clone() };
    let founding = Founding { id, kind, title, created_by: creator.id, participants, change };
    let (events, trace) = (peers.clone(), trace.id);
    let created = app
        .db
        .write(move |conn| {
            Box::pin(async move {
                let created = store::found(conn, &founding).await?;
                if created {
                    for peer in &events {
                        relay::append_conversation(conn, peer, id, trace, now).await?;
                    }
                }
                Ok::<_, Problem>(created)
            })
        })
        .await?;
    app.memberships.forget(id).await;
    app.relay.wake(&peers);
    Ok(created)
}

/// The users that a body names, without the creator, each once.
async fn participants(
    app: &App,
    user: &CurrentUser,
    names: &[String],
) -> Result<Vec<UserCard>, Problem> {
    if names.len() > MAX_PARTICIPANTS {
        return Err(Problem::invalid()
            .field("participants", "A conversation has at most 500 participants."));
    }
    if let Some(long) = names.iter().find(|name| name.len() > 512) {
        let start: String = long.chars().take(20).collect();
        return Err(
            Problem::invalid().field("participants", format!("{start}… is too long for a name."))
        );
    }
    let found: Vec<_> =
        stream::iter(names.iter().cloned())
            .map(|name| async move {
                app.directory.find(&app.relay, &name).await.map(|user| (name, user))
            })
            .buffered(LOOKUPS)
            .try_collect()
            .await?;
    let mut problem = Problem::invalid();
    let mut others: Vec<UserCard> = Vec::new();
    for (name, found) in found {
        match found {
            None => problem = problem.field("participants", format!("There is no user {name}.")),
            Some(found) if others.iter().any(|other| other.id == found.id) => {
                problem = problem.field("participants", format!("{name} stands twice."));
            }
            Some(found) if found.id == user.id() => {}
            Some(found) => others.push(found),
        }
    }
    problem.check()?;
    if others.is_empty() {
        return Err(Problem::invalid().field("participants", "Name at least one other user."));
    }
    if others.len() + 1 > MAX_PARTICIPANTS {
        return Err(Problem::invalid()
            .field("participants", "A conversation has at most 500 participants."));
    }
    Ok(others)
}

fn kind(body: &NewConversation, others: usize) -> Result<ConversationKind, Problem> {
    match body.kind {
        Some(ConversationKind::Direct) if others != 1 => {
            Err(Problem::invalid()
                .field("kind", "A direct conversation has one other participant."))
        }
        Some(ConversationKind::Direct) if body.title.is_some() => {
            Err(Problem::invalid().field("title", "A direct conversation has no title."))
        }
        Some(kind) => Ok(kind),
        None if others == 1 && body.title.is_none() => Ok(ConversationKind::Direct),
        None => Ok(ConversationKind::Group),
    }
}
