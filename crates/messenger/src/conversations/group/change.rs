use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::StatusCode;
use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::models::{Conversation, ConversationKind, Role};
use shared::problem::Problem;
use shared::relay::{Change, Deed};
use shared::time::Timestamp;
use uuid::Uuid;

use super::replay::{Entry, Group, Verdict};
use super::{MAX_CHANGES, store};
use crate::app::App;
use crate::conversations::view;
use crate::db::{Conn, Result};
use crate::realtime::{self, EventKind, NewEntry};
use crate::relay;

/// What the caller has done to a group.
pub struct Changed {
    /// The group as they see it now.
    pub conversation: Conversation,
    /// Whether it is another than before.
    pub is_new: bool,
}

/// Makes a user of this app do something to a group: all of it, or nothing.
///
/// 404 for who has never taken part, 403 `not_a_participant` for who has left and `not_permitted` for whose role does
/// not allow it; 409 `direct_conversation`, `conversation_ended`, `last_owner` and `too_many_changes`.
pub async fn change(
    app: &App,
    id: ConversationId,
    actor: UserId,
    deeds: Vec<Deed>,
    trace: Uuid,
) -> Result<Changed, Problem> {
    let (own, now) = (app.name.clone(), app.clock.now());
    let changed = app.db.write(move |conn| {
        Box::pin(async move {
            let (at, peers) = do_all(conn, &own, id, actor, deeds, now).await?;
            let conversation = view::one(conn, id, actor).await?;
            let conversation = conversation.ok_or_else(Problem::not_found)?;
            if let Some(at) = at {
                let entry = NewEntry::conversation(EventKind::ConversationUpdated, id, at);
                realtime::append(conn, &[entry]).await?;
            }
            for peer in &peers {
                relay::append_conversation(conn, peer, id, trace, now).await?;
            }
            Ok::<_, Problem>((Changed { conversation, is_new: at.is_some() }, peers))
        })
    });
    let (changed, peers) = changed.await?;
    app.memberships.forget(id).await;
    app.relay.wake(&peers);
    Ok(changed)
}

/// Does it in a transaction, and gives the moment, if anything is different now, and the apps that must hear of it.
async fn do_all(
    conn: &mut Conn,
    own: &AppName,
    id: ConversationId,
    actor: UserId,
    deeds: Vec<Deed>,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Vec<AppName>), Problem> {
    let beginning = store::lock(conn, id).await?.ok_or_else(Problem::not_found)?;
    if beginning.kind == ConversationKind::Direct {
        return Err(direct());
    }
    let known = store::entries(conn, id).await?;
    let mut before = Group::begin(beginning.founder, &beginning.app, beginning.created_at);
    before.play(&known);
    if !before.seats.contains_key(&actor) {
        return Err(Problem::not_found());
    }
    // Later than all that is known here, so that it counts after what it is a consequence of, whatever the clocks of
    // the others say.
    let last = known.last().map_or(beginning.created_at, |entry| entry.change.at);
    let at = now.max(last.after(Duration::from_micros(1)));
    let mut after = before.clone();
    let mut entries = Vec::new();
    for deed in deeds {
        check_owner(&after, actor, &deed)?;
        let entry = Entry { change: Change { at, actor, deed }, app: own.clone() };
        match after.apply(&entry) {
            Verdict::Done => entries.push(entry),
            Verdict::Moot => {}
            Verdict::Refused(code) => return Err(refusal(code)),
        }
    }
    if entries.is_empty() {
        return Ok((None, Vec::new()));
    }
    if known.len() + entries.len() > MAX_CHANGES {
        let why = "This group has been changed too often; begin a new one.";
        return Err(Problem::conflict("too_many_changes", why));
    }
    let mut apps = store::apps(conn, id).await?;
    store::insert(conn, id, &entries).await?;
    store::write(conn, id, Some(&before), &after).await?;
    apps.extend(store::apps(conn, id).await?);
    let apps: BTreeSet<_> = apps.into_iter().filter(|app| app != own).collect();
    Ok((Some(at), apps.into_iter().collect()))
}

/// That the group keeps an owner whom somebody has chosen.
fn check_owner(group: &Group, actor: UserId, deed: &Deed) -> Result<(), Problem> {
    let user = match deed {
        Deed::Remove { user } => *user,
        Deed::Role { user, role } if *role != Role::Owner => *user,
        _ => return Ok(()),
    };
    if user == actor && group.ended_at.is_none() && group.is_last_owner(user) {
        let why = "You are the only owner; make somebody else an owner before.";
        return Err(Problem::conflict("last_owner", why));
    }
    Ok(())
}

/// 409: what cannot be done to a direct conversation.
pub fn direct() -> Problem {
    let why = "A direct conversation has its two participants and no title, for ever.";
    Problem::conflict("direct_conversation", why)
}

fn refusal(code: &'static str) -> Problem {
    match code {
        "not_a_participant" => Problem::forbidden(code, "You have left this conversation."),
        "conversation_ended" => Problem::conflict(code, "This conversation has been ended."),
        "no_such_participant" => Problem::not_found(),
        "group_full" => Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "Some fields are not valid; see errors.",
        )
        .field("participants", "A conversation has at most 500 participants."),
        _ => Problem::forbidden(code, "Your role in this group does not allow that."),
    }
}

/// What a group was at a moment, as far as is known here; `None` for a direct conversation.
pub async fn as_of(
    conn: &mut Conn,
    id: ConversationId,
    moment: Timestamp,
) -> Result<Option<Group>> {
    let beginning = store::beginning(conn, id).await?;
    let Some(beginning) = beginning.filter(|b| b.kind == ConversationKind::Group) else {
        return Ok(None);
    };
    let mut group = Group::begin(beginning.founder, &beginning.app, beginning.created_at);
    let known = store::entries(conn, id).await?;
    group.play(known.iter().filter(|entry| entry.change.at <= moment));
    Ok(Some(group))
}

/// What has come of the changes that a peer has told of.
pub struct TakenIn {
    /// What each comes to, as things stand.
    pub verdicts: Vec<Verdict>,
    /// Whether the group is another than before.
    pub is_new: bool,
    /// The apps of those who take part.
    pub apps: BTreeSet<AppName>,
    /// Whether nobody belonged to one of them before.
    pub others_joined: bool,
}

/// Adds changes to those that are known of a group, and makes it what all of them come to.
pub async fn take_in(
    conn: &mut Conn,
    id: ConversationId,
    fresh: &[Entry],
) -> Result<Option<TakenIn>> {
    let Some(beginning) = store::lock(conn, id).await? else { return Ok(None) };
    let begin = || Group::begin(beginning.founder, &beginning.app, beginning.created_at);
    let known = store::entries(conn, id).await?;
    let apps_before = store::apps(conn, id).await?;
    // Of a conversation that has just been begun, nothing has been written but its head.
    let before = (!apps_before.is_empty() || !known.is_empty()).then(|| {
        let mut before = begin();
        before.play(&known);
        before
    });
    let mut all: BTreeMap<_, _> = known.iter().map(|entry| (entry.key(), entry)).collect();
    for entry in fresh {
        all.entry(entry.key()).or_insert(entry);
    }
    let mut after = begin();
    let played: Vec<_> = all.values().copied().collect();
    let outcome = after.play(played.iter().copied());
    let outcome: BTreeMap<_, _> = played.iter().map(|entry| entry.key()).zip(outcome).collect();
    let verdicts = fresh.iter().map(|entry| outcome[&entry.key()]).collect();
    store::insert(conn, id, fresh).await?;
    store::write(conn, id, before.as_ref(), &after).await?;
    let apps: BTreeSet<_> = store::apps(conn, id).await?.into_iter().collect();
    let others_joined = apps.iter().any(|app| !apps_before.contains(app));
    Ok(Some(TakenIn { verdicts, is_new: before.as_ref() != Some(&after), apps, others_joined }))
}
