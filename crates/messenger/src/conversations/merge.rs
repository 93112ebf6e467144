use std::collections::{BTreeSet, HashMap};

use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::models::{ConversationKind, UserCard};
use shared::relay::{Change, ConversationState, Deed};
use shared::time::Timestamp;

use super::group::{self, Entry, Group, MAX_CHANGES, Verdict};
use super::{store, title_fault};
use crate::db::{Conn, Error};
use crate::relay::MAX_AHEAD;
use crate::users;

/// Changes of one group by which the apps may be over the limit that each keeps on its own.
const SLACK: usize = 1_000;

/// What comes of a peer's word about a conversation.
pub enum Merge {
    /// It has been taken in. These apps must hear what this one knows, as they may not have heard it before.
    Taken(Vec<AppName>),
    /// It has no effect, for the reason of this stable code.
    Refused(&'static str),
    /// It has no effect as things stand, for this reason, but is kept: what is still on its way from elsewhere may
    /// permit it yet. These apps must hear what this one knows.
    Kept(&'static str, Vec<AppName>),
    /// It has no effect yet: it rests on what another peer may tell of any moment.
    Early,
}

/// Who hears what, from whom.
pub struct Place<'a> {
    /// This app.
    pub own: &'a AppName,
    /// The peer that speaks.
    pub origin: &'a AppName,
    /// Whether there are other peers.
    pub has_others: bool,
    /// When.
    pub now: Timestamp,
    /// The moment of the backup that this app was restored from, while the peer gives back what has happened since.
    pub recovering: Option<Timestamp>,
}

impl Place<'_> {
    /// Whether the peer may speak of what users of this app have done: it gives back what was lost.
    fn takes_back(&self, app: &AppName) -> bool {
        self.recovering.is_some() && app == self.own
    }
}

/// Takes in what the peer `origin` says of a conversation.
///
/// A peer may begin one in the name of its own users alone, and only one that somebody here takes part in. A direct
/// conversation has the id that follows from its two addresses; if both sides begin it at once, both come to agree
/// that the earlier one did. Of a group that is known here, the changes that the peer's own users have made are
/// taken, and played among the others: the group itself says whether they might. Of one that is new here, all of it is
/// taken, by the word of whoever has begun it or has invited somebody here.
pub async fn merge(
    conn: &mut Conn,
    place: &Place<'_>,
    state: ConversationState,
) -> Result<Merge, Error> {
    let told = match Told::read(state, place) {
        Ok(told) => told,
        Err(code) => return Ok(Merge::Refused(code)),
    };
    let known = store::kind_and_founder(conn, told.state.id).await?;
    match known {
        Some((kind, _)) if kind != told.state.kind => Ok(Merge::Refused("conversation_conflict")),
        known if told.state.kind == ConversationKind::Direct => {
            direct(conn, place, told, known.is_some()).await
        }
        Some((_, founder)) => known_group(conn, place, told, &founder).await,
        None => new_group(conn, place, told).await,
    }
}

/// A state whose parts fit together.
struct Told {
    state: ConversationState,
    founder: UserCard,
    entries: Vec<Entry>,
}

impl Told {
    /// What can be judged without looking anything up.
    fn read(state: ConversationState, place: &Place<'_>) -> Result<Self, &'static str> {
        let latest = place.now.after(MAX_AHEAD);
        let moments = state.changes.iter().map(|change| change.at).chain([state.created_at]);
        if moments.max().is_some_and(|moment| moment > latest) {
            return Err("from_the_future");
        }
        let people: HashMap<UserId, &UserCard> =
            state.users.iter().map(|user| (user.id, user)).collect();
        let names: BTreeSet<_> = state.users.iter().map(|user| user.address().key()).collect();
        if people.len() != state.users.len() || names.len() != state.users.len() {
            return Err("bad_participants");
        }
        let founder = *people.get(&state.created_by).ok_or("bad_participants")?;
        if state.kind == ConversationKind::Direct {
            let [one, other] = state.users.as_slice() else { return Err("bad_participants") };
            let derived = ConversationId::direct(&one.address(), &other.address());
            if derived != state.id || !state.changes.is_empty() {
                return Err("bad_direct_id");
            }
            if one.app != *place.own && other.app != *place.own {
                return Err("nobody_here");
            }
        }
        if state.changes.len() > MAX_CHANGES + SLACK {
            return Err("too_many_changes");
        }
        let mut entries = Vec::with_capacity(state.changes.len());
        for change in &state.changes {
            if let Deed::Title { title: Some(title) } = &change.deed
                && title_fault(title).is_some()
            {
                return Err("bad_title");
            }
            let actor = people.get(&change.actor).ok_or("bad_participants")?;
            let entry = Entry { change: change.clone(), app: actor.app.clone() };
            if change.at < state.created_at || !people.contains_key(&entry.subject()) {
                return Err("bad_participants");
            }
            entries.push(entry);
        }
        entries.sort();
        entries.dedup_by(|one, other| one.key() == other.key());
        let founder = founder.clone();
        Ok(Self { state, founder, entries })
    }

    fn user(&self, id: UserId) -> Option<&UserCard> {
        self.state.users.iter().find(|user| user.id == id)
    }
}

async fn direct(
    conn: &mut Conn,
    place: &Place<'_>,
    told: Told,
    is_known: bool,
) -> Result<Merge, Error> {
    let founder_app = &told.founder.app;
    if founder_app != place.origin && !place.takes_back(founder_app) {
        let known = is_known.then(|| Merge::Taken(Vec::new()));
        return Ok(known.unwrap_or(Merge::Refused("not_your_user")));
    }
    let people = match acquaint(conn, place, &told.state.users, |_| is_known).await? {
        Ok(people) => people,
        Err(code) => return Ok(Merge::Refused(code)),
    };
    let ConversationState { id, kind, created_at, .. } = told.state;
    let founder = people[&told.founder.id];
    // On PostgreSQL somebody here may begin it between the look before and this; then it is not new after all.
    if store::insert(conn, id, kind, founder, created_at, &told.founder.app).await? {
        let two: Vec<UserId> = people.into_values().collect();
        store::insert_two(conn, id, &two, created_at, &told.founder.app).await?;
    } else {
        store::merge_founding(conn, id, founder, created_at).await?;
    }
    Ok(Merge::Taken(Vec::new()))
}

async fn new_group(conn: &mut Conn, place: &Place<'_>, told: Told) -> Result<Merge, Error> {
    // What users of this app do is known here before it is known anywhere else.
    let forged = |entry: &Entry| entry.app == *place.own;
    let any_forged = told.founder.app == *place.own || told.entries.iter().any(forged);
    if any_forged && place.recovering.is_none() {
        return Ok(Merge::Refused("not_your_user"));
    }
    let mut group = Group::begin(told.founder.id, &told.founder.app, told.state.created_at);
    let verdicts = group.play(&told.entries);
    let here = |id: UserId| told.user(id).is_some_and(|user| user.app == *place.own);
    if !group.seats.iter().any(|(user, seat)| here(*user) && seat.left_at.is_none()) {
        // Whoever has added somebody here, though as things stand they might not, may yet tell of the group as one that
        // is: then this is what is missing there.
        let adds =
            |entry: &Entry| matches!(entry.change.deed, Deed::Add { user, .. } if here(user));
        let added = told.entries.iter().any(adds);
        return Ok(if added { early(place, "nobody_here") } else { Merge::Refused("nobody_here") });
    }
    let invites = |(entry, verdict): (&Entry, &Verdict)| {
        let adds = matches!(entry.change.deed, Deed::Add { user, .. } if here(user));
        let by_them = entry.app == *place.origin || place.takes_back(&entry.app);
        adds && by_them && *verdict == Verdict::Done
    };
    let began_there = told.founder.app == *place.origin || place.takes_back(&told.founder.app);
    if !began_there && !told.entries.iter().zip(&verdicts).any(invites) {
        return Ok(early(place, "not_your_user"));
    }
    let people = match acquaint(conn, place, &told.state.users, |_| false).await? {
        Ok(people) => people,
        Err(code) => return Ok(Merge::Refused(code)),
    };
    let ConversationState { id, kind, created_at, .. } = told.state;
    let (founder, app) = (people[&told.founder.id], &told.founder.app);
    store::insert(conn, id, kind, founder, created_at, app).await?;
    let entries: Vec<_> = told.entries.into_iter().map(|entry| renamed(entry, &people)).collect();
    group::take_in(conn, id, &entries).await?;
    Ok(Merge::Taken(Vec::new()))
}

async fn known_group(
    conn: &mut Conn,
    place: &Place<'_>,
    told: Told,
    founder: &UserCard,
) -> Result<Merge, Error> {
    let id = told.state.id;
    let began = store::began_at(conn, id).await?;
    if founder.address().key() != told.founder.address().key()
        || began != Some(told.state.created_at)
    {
        return Ok(Merge::Refused("conversation_conflict"));
    }
    let known = group::entries(conn, id).await?;
    let keys: BTreeSet<_> = known.iter().map(Entry::key).collect();
    let unknown = || told.entries.iter().filter(|entry| !keys.contains(&entry.key()));
    let is_lost = |entry: &Entry| {
        let since = place.recovering.filter(|_| place.takes_back(&entry.app));
        since.is_some_and(|since| entry.change.at >= since)
    };
    let may_tell = |entry: &&Entry| entry.app == *place.origin || is_lost(entry);
    let fresh: Vec<Entry> = unknown().filter(may_tell).cloned().collect();
    if fresh.is_empty() {
        // What others have done they tell themselves; what users of this app have done is known here.
        let forged = unknown().any(|entry| entry.app == *place.own);
        return Ok(if forged { Merge::Refused("not_your_user") } else { Merge::Taken(vec![]) });
    }
    if known.len() + fresh.len() > MAX_CHANGES + SLACK {
        return Ok(Merge::Refused("too_many_changes"));
    }
    let named: BTreeSet<_> = fresh.iter().flat_map(|e| [e.change.actor, e.subject()]).collect();
    let named: Vec<_> = named.into_iter().filter_map(|id| told.user(id).cloned()).collect();
    // Those who have once been added, whether or not that came to anything.
    let added = |entry: &Entry| match entry.change.deed {
        Deed::Add { user, .. } => Some(user),
        _ => None,
    };
    let mut insiders: BTreeSet<_> = known.iter().filter_map(added).collect();
    insiders.insert(founder.id);
    let people = match acquaint(conn, place, &named, |id| insiders.contains(&id)).await? {
        Ok(people) => people,
        Err(code) => return Ok(Merge::Refused(code)),
    };
    let fresh: Vec<Entry> = fresh.into_iter().map(|entry| renamed(entry, &people)).collect();
    if !fresh.iter().any(|entry| insiders.contains(&entry.change.actor)) {
        return Ok(early(place, "not_a_participant"));
    }
    let own_changes = known.iter().any(|entry| entry.app == *place.own);
    let Some(taken) = group::take_in(conn, id, &fresh).await? else {
        return Ok(Merge::Refused("unknown_conversation"));
    };
    let apps: HashMap<UserId, &AppName> =
        named.iter().filter_map(|user| Some((*people.get(&user.id)?, &user.app))).collect();
    let uninvited = fresh.iter().zip(&taken.verdicts).filter_map(|(entry, verdict)| {
        let refused = matches!(verdict, Verdict::Refused(_));
        added(entry).filter(|_| refused).and_then(|user| apps.get(&user).copied())
    });
    let uninvited: BTreeSet<AppName> =
        uninvited.filter(|app| ![place.own, place.origin].contains(app)).cloned().collect();
    let refused = taken.verdicts.iter().map(|verdict| match verdict {
        Verdict::Refused(code) => Some(*code),
        _ => None,
    });
    let refused = refused.collect::<Option<Vec<_>>>().and_then(|codes| codes.last().copied());
    let mut told = listeners(place, taken, own_changes);
    told.extend(uninvited.into_iter().filter(|_| own_changes));
    Ok(match refused {
        Some(code) => Merge::Kept(code, told),
        None => Merge::Taken(told),
    })
}

/// The apps that may lack what users of this app have done to a group.
///
/// A change is told to the apps that have somebody in the group. So where it comes out that others have, or that this
/// one has again, all of them are told once more. And a peer that nobody in the group belongs to any more may have
/// done something that its other apps have not heard, as it does not know of them: it is told, and tells them. (Whoever
/// has been added by somebody who might not has to hear why not, too.)
fn listeners(place: &Place<'_>, taken: group::TakenIn, own_changes: bool) -> Vec<AppName> {
    let outside = taken.is_new && !taken.apps.contains(place.origin);
    let mut elsewhere = taken.apps;
    let inside = elsewhere.remove(place.own);
    let mut listeners = Vec::new();
    if inside && outside && !elsewhere.is_empty() {
        listeners.push(place.origin.clone());
    }
    if own_changes && taken.others_joined {
        listeners.extend(elsewhere);
    }
    listeners
}

/// Where there is a third app, it may be the one that tells what is missing.
fn early(place: &Place<'_>, code: &'static str) -> Merge {
    if place.has_others { Merge::Early } else { Merge::Refused(code) }
}

fn renamed(entry: Entry, people: &HashMap<UserId, UserId>) -> Entry {
    let name = |id: UserId| people.get(&id).copied().unwrap_or(id);
    let Change { at, actor, deed } = entry.change;
    let deed = match deed {
        Deed::Add { user, role } => Deed::Add { user: name(user), role },
        Deed::Remove { user } => Deed::Remove { user: name(user) },
        Deed::Role { user, role } => Deed::Role { user: name(user), role },
        other => other,
    };
    Entry { change: Change { at, actor: name(actor), deed }, app: entry.app }
}

/// Gets to know the people that a peer names, and gives the ids by which they are known here. `is_in` says who is in
/// the conversation already.
///
/// Everybody is looked at before anything is written, so that a refusal leaves nothing behind.
async fn acquaint(
    conn: &mut Conn,
    place: &Place<'_>,
    people: &[UserCard],
    is_in: impl Fn(UserId) -> bool,
) -> Result<Result<HashMap<UserId, UserId>, &'static str>, Error> {
    let mut known = HashMap::new();
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        people.iter().partition(|user| user.app == *place.own);
    let mut adoptions = Vec::new();
    for user in here {
        let own = users::state_by_name(conn, place.own.as_str(), &user.username.key()).await?;
        if own.is_none()
            && place.recovering.is_some()
            && let Some(adoption) = users::weigh(conn, user, true).await?
        {
            // Their account is lost; what they have written stays theirs.
            adoptions.push((user, adoption));
            continue;
        }
        // Who has been deactivated stays where they are, and comes into nothing new.
        let own = own.filter(|own| own.is_active || is_in(own.user.id));
        if own.is_none_or(|own| own.user.id != user.id) {
            return Ok(Err("unknown_user"));
        }
        known.insert(user.id, user.id);
    }
    for user in elsewhere {
        match users::weigh(conn, user, user.app == *place.origin).await? {
            Some(adoption) => adoptions.push((user, adoption)),
            None => return Ok(Err("user_conflict")),
        }
    }
    for (user, adoption) in adoptions {
        let id = users::take_in(conn, user, adoption, place.now).await?.id;
        if user.app == *place.own {
            users::set_active(conn, id, false).await?;
        }
        known.insert(user.id, id);
    }
    Ok(Ok(known))
}
