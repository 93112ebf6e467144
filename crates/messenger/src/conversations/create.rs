use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::models::{Conversation, ConversationKind, NewConversation, Role, UserCard};
use shared::problem::Problem;
use shared::relay::{Change, Deed};
use shared::time::Timestamp;

use super::group::{self, Entry};
use super::{MAX_PARTICIPANTS, store, title_fault, view};
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::db::{Conn, Error};
use crate::http::{Json, Trace};
use crate::idempotency::{self, Attempt, Begun, IdempotencyParams, Record};
use crate::realtime::{self, EventKind, NewEntry};
use crate::relay;

/// Participants looked up at once.
const LOOKUPS: usize = 16;

/// `POST /api/chats/conversations/`: 201 with the conversation, or 200 with the direct one that is there already.
#[utoipa::path(
    post,
    path = "/",
    tag = "Conversations",
    summary = "Begin a conversation",
    description = "The caller is always added. One other participant and no title make a direct conversation; if there is \
        one already, it is the answer. Participants may live on any app.",
    params(IdempotencyParams),
    request_body = NewConversation,
    responses(
        (status = 201, description = "The new conversation.", body = Conversation),
        (status = 200, description = "The direct conversation that was there already.", body = Conversation),
        (status = 409, description = "`idempotency_key_running`: the first request with this `Idempotency-Key` is still running."),
        (status = 422, description = "`idempotency_key_reused`: the key has been used for another request."),
    )
)]
pub async fn create(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    attempt: Option<Attempt>,
    Json(body): Json<NewConversation>,
) -> Result<Response, Problem> {
    let running = match app.idempotency.begin(&app, attempt).await? {
        Begun::Before(response) => return Ok(response),
        Begun::Now(running) => running,
    };
    let others = participants(&app, &user, &body.participants).await?;
    let kind = kind(&body, others.len())?;
    if let Some(why) = body.title.as_deref().and_then(title_fault) {
        return Err(Problem::invalid().field("title", why));
    }
    let id = match (kind, others.as_slice()) {
        (ConversationKind::Direct, [other]) => {
            ConversationId::direct(&user.card().address(), &other.address())
        }
        _ => ConversationId::mint(app.clock.now()),
    };
    let record = running.record(app.clock.wall())?;
    let plan = Plan { id, kind, title: body.title, others, record };
    let (status, conversation) = found(&app, plan, user.card(), &trace).await?;
    Ok((status, Json(conversation)).into_response())
}

/// The id of the direct conversation of a user of this app and another person, which is made if there is none.
pub async fn direct(
    app: &App,
    user: &UserCard,
    other: &UserCard,
    trace: &Trace,
) -> Result<ConversationId, Problem> {
    let id = ConversationId::direct(&user.address(), &other.address());
    if app.memberships.of(app, id).await?.is_none() {
        let (kind, others) = (ConversationKind::Direct, vec![other.clone()]);
        found(app, Plan { id, kind, title: None, others, record: None }, user, trace).await?;
    }
    Ok(id)
}

/// A conversation that is to begin.
struct Plan {
    id: ConversationId,
    kind: ConversationKind,
    title: Option<String>,
    others: Vec<UserCard>,
    record: Option<Record>,
}

/// Begins a conversation unless it is there: 201 and what it is then, or 200 and what it is.
async fn found(
    app: &App,
    plan: Plan,
    creator: &UserCard,
    trace: &Trace,
) -> Result<(StatusCode, Conversation), Problem> {
    let (id, creator, own, now) = (plan.id, creator.id, app.name.clone(), app.clock.now());
    let mut peers: Vec<_> = plan.others.iter().map(|user| user.app.clone()).collect();
    peers.retain(|peer| *peer != app.name);
    peers.sort_unstable();
    peers.dedup();
    let (events, trace) = (peers.clone(), trace.id);
    let founded = app
        .db
        .write(move |conn| {
            Box::pin(async move {
                let created = store::insert(conn, id, plan.kind, creator, now, &own).await?;
                if created {
                    settle(conn, &plan, creator, &own, now).await?;
                } else {
                    store::show(conn, id, creator).await?;
                }
                let status = if created { StatusCode::CREATED } else { StatusCode::OK };
                let conversation = view::one(conn, id, creator).await?;
                let conversation = conversation.ok_or_else(Problem::internal)?;
                if let Some(record) = &plan.record {
                    idempotency::insert(conn, record, status, &conversation).await?;
                }
                if created {
                    let entry = NewEntry::conversation(EventKind::ConversationCreated, id, now);
                    realtime::append(conn, &[entry]).await?;
                }
                for peer in events.iter().filter(|_| created) {
                    relay::append_conversation(conn, peer, id, trace, now).await?;
                }
                Ok::<_, Problem>((status, conversation))
            })
        })
        .await?;
    app.memberships.forget(id).await;
    app.relay.wake(&peers);
    Ok(founded)
}

/// Gives a conversation whose head is there its participants, and a group its title.
async fn settle(
    conn: &mut Conn,
    plan: &Plan,
    creator: UserId,
    own: &AppName,
    at: Timestamp,
) -> Result<(), Error> {
    let others = plan.others.iter().map(|user| user.id);
    if plan.kind == ConversationKind::Direct {
        let two: Vec<_> = others.chain([creator]).collect();
        return store::insert_two(conn, plan.id, &two, at, own).await;
    }
    let title = plan.title.clone().map(|title| Deed::Title { title: Some(title) });
    let adds = others.map(|user| Deed::Add { user, role: Role::Member });
    let entry = |deed| Entry { change: Change { at, actor: creator, deed }, app: own.clone() };
    let entries: Vec<_> = title.into_iter().chain(adds).map(entry).collect();
    group::take_in(conn, plan.id, &entries).await.map(|_| ())
}

/// The users that a body names, without the creator.
async fn participants(
    app: &App,
    user: &CurrentUser,
    names: &[String],
) -> Result<Vec<UserCard>, Problem> {
    let mut others = named(app, names).await?;
    others.retain(|other| other.id != user.id());
    if others.is_empty() {
        return Err(Problem::invalid().field("participants", "Name at least one other user."));
    }
    if others.len() + 1 > MAX_PARTICIPANTS {
        return Err(Problem::invalid()
            .field("participants", "A conversation has at most 500 participants."));
    }
    Ok(others)
}

/// The users that a body names, each once; 400 names those that there are not, and those that stand twice.
pub async fn named(app: &App, names: &[String]) -> Result<Vec<UserCard>, Problem> {
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
    let mut users: Vec<UserCard> = Vec::new();
    for (name, found) in found {
        match found {
            None => problem = problem.field("participants", format!("There is no user {name}.")),
            Some(found) if users.iter().any(|user| user.id == found.id) => {
                problem = problem.field("participants", format!("{name} stands twice."));
            }
            Some(found) => users.push(found),
        }
    }
    problem.check()?;
    Ok(users)
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
