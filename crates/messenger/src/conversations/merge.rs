use shared::address::AppName;
use shared::id::ConversationId;
use shared::models::{ConversationKind, UserCard};
use shared::relay::ConversationState;
use shared::time::Timestamp;

use super::{MAX_PARTICIPANTS, store, title_fault};
use crate::db::{Conn, Error};
use crate::relay::MAX_AHEAD;
use crate::users;

/// Why a peer's word about a conversation is not taken: a stable code.
type Refusal = &'static str;

/// Takes in what the peer `origin` says of a conversation. A refusal changes nothing.
///
/// A peer may begin a conversation in the name of its own users alone, and only one that somebody here takes part
/// in. A direct conversation has the id that follows from its two addresses; if both sides begin it at once, both
/// come to agree that the earlier one did.
pub async fn merge(
    conn: &mut Conn,
    own: &AppName,
    origin: &AppName,
    mut state: ConversationState,
    now: Timestamp,
) -> Result<Result<(), Refusal>, Error> {
    if let Err(why) = plausible(own, &state, now) {
        return Ok(Err(why));
    }
    let known = store::kind_and_founder(conn, state.id).await?;
    let theirs = |user: &UserCard| user.id == state.created_by && user.app == *origin;
    let founded_there = state.participants.iter().any(|p| theirs(&p.user));
    match &known {
        None if !founded_there => return Ok(Err("not_your_user")),
        Some((kind, _)) if *kind != state.kind => return Ok(Err("conversation_conflict")),
        Some((ConversationKind::Group, founder)) if founder.app != *origin => {
            return Ok(Err("not_permitted"));
        }
        // A repeat; the group is as its founder's app has said.
        Some((ConversationKind::Group, _)) => return Ok(Ok(())),
        _ => {}
    }
    // Everybody is looked at before anything is written, so that a refusal leaves nothing behind.
    for participant in state.participants.iter().filter(|p| p.user.app == *own) {
        let user = &participant.user;
        let here = users::state_by_name(conn, own.as_str(), &user.username.key()).await?;
        // Who has been deactivated stays where they are, and comes into nothing new.
        let here = here.filter(|here| here.is_active || known.is_some());
        if here.is_none_or(|here| here.user.id != user.id) {
            return Ok(Err("unknown_user"));
        }
    }
    let mut adoptions = Vec::new();
    for participant in state.participants.iter().filter(|p| p.user.app != *own) {
        let vouched = participant.user.app == *origin;
        match users::weigh(conn, &participant.user, vouched).await? {
            Some(adoption) => adoptions.push(adoption),
            None => return Ok(Err("user_conflict")),
        }
    }
    let elsewhere = state.participants.iter_mut().filter(|p| p.user.app != *own);
    for (participant, adoption) in elsewhere.zip(adoptions) {
        participant.user = users::take_in(conn, &participant.user, adoption, now).await?;
    }
    let ConversationState { id, kind, title, title_change, created_by, created_at, participants } =
        &state;
    // On PostgreSQL somebody here may begin it between the look above and this; then it is not new after all.
    let title = title.as_deref();
    let new = known.is_none()
        && store::insert(conn, *id, *kind, title, title_change, *created_by, *created_at).await?;
    if !new && founded_there {
        store::merge_founding(conn, *id, *created_by, *created_at).await?;
    }
    // Later the peer hands on what it has heard from here as well; then only its own word counts.
    let counts = |app: &AppName| new || app == origin;
    let participants: Vec<_> =
        participants.iter().filter(|p| counts(&p.change.app)).cloned().collect();
    store::merge_participants(conn, *id, &participants).await?;
    Ok(Ok(()))
}

/// What can be judged without looking anything up.
fn plausible(own: &AppName, state: &ConversationState, now: Timestamp) -> Result<(), Refusal> {
    let latest = now.after(MAX_AHEAD);
    let changes = state.participants.iter().flat_map(|p| [p.joined_at, p.change.at]);
    if changes.chain([state.created_at, state.title_change.at]).any(|moment| moment > latest) {
        return Err("from_the_future");
    }
    let users: Vec<&UserCard> = state.participants.iter().map(|p| &p.user).collect();
    let founder = users.iter().find(|user| user.id == state.created_by);
    if !(2..=MAX_PARTICIPANTS).contains(&users.len()) {
        return Err("bad_participants");
    }
    let mut ids: Vec<_> = users.iter().map(|user| user.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut names: Vec<_> = users.iter().map(|user| user.address().key()).collect();
    names.sort_unstable();
    names.dedup();
    if ids.len() != users.len() || names.len() != users.len() {
        return Err("bad_participants");
    }
    if founder.is_none() {
        return Err("bad_participants");
    }
    if state.participants.iter().all(|p| p.user.app != *own || p.left_at.is_some()) {
        return Err("nobody_here");
    }
    if state.title.as_deref().is_some_and(|title| title_fault(title).is_some()) {
        return Err("bad_title");
    }
    if state.kind == ConversationKind::Direct {
        let [one, other] = users.as_slice() else { return Err("bad_participants") };
        let derived = ConversationId::direct(&one.address(), &other.address());
        if derived != state.id || state.title.is_some() {
            return Err("bad_direct_id");
        }
    }
    Ok(())
}
