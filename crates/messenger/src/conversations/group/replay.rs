use std::cmp::Ordering;
use std::collections::BTreeMap;

use shared::address::AppName;
use shared::id::UserId;
use shared::models::Role;
use shared::relay::{Change, Deed};
use shared::time::Timestamp;

use crate::conversations::MAX_PARTICIPANTS;

/// A change with the app of its actor, which decides between changes of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The change.
    pub change: Change,
    /// The app of its actor.
    pub app: AppName,
}

impl Entry {
    /// What makes it one change, and where it stands among the others.
    pub fn key(&self) -> (Timestamp, &AppName, i16, UserId) {
        (self.change.at, &self.app, kind(&self.change.deed), self.subject())
    }

    /// Whom it is about; the actor, where it is about nobody.
    pub fn subject(&self) -> UserId {
        match self.change.deed {
            Deed::Add { user, .. } | Deed::Remove { user } | Deed::Role { user, .. } => user,
            Deed::Title { .. } | Deed::End => self.change.actor,
        }
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The number that the database holds for a kind of deed.
pub const fn kind(deed: &Deed) -> i16 {
    match deed {
        Deed::Title { .. } => 0,
        Deed::Add { .. } => 1,
        Deed::Remove { .. } => 2,
        Deed::Role { .. } => 3,
        Deed::End => 4,
    }
}

/// What a change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has changed the group.
    Done,
    /// It was so already.
    Moot,
    /// It may not be: a stable code.
    Refused(&'static str),
}

/// Somebody who takes or took part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
    /// Until when.
    pub left_at: Option<Timestamp>,
    /// When this last changed.
    pub changed_at: Timestamp,
    /// Where it was changed.
    pub changed_app: AppName,
}

/// What a group has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Everybody who takes or took part.
    pub seats: BTreeMap<UserId, Seat>,
    /// Its title.
    pub title: Option<String>,
    /// When it got this title.
    pub title_at: Timestamp,
    /// Where it got this title.
    pub title_app: AppName,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Timestamp,
}

impl Group {
    /// A group of its founder alone.
    pub fn begin(founder: UserId, app: &AppName, at: Timestamp) -> Self {
        let seat = Seat {
            role: Role::Owner,
            joined_at: at,
            left_at: None,
            changed_at: at,
            changed_app: app.clone(),
        };
        Self {
            seats: BTreeMap::from([(founder, seat)]),
            title: None,
            title_at: at,
            title_app: app.clone(),
            ended_at: None,
            changed_at: at,
        }
    }

    /// The seat of somebody who takes part.
    pub fn active(&self, user: UserId) -> Option<&Seat> {
        self.seats.get(&user).filter(|seat| seat.left_at.is_none())
    }

    /// How many take part.
    pub fn size(&self) -> usize {
        self.seats.values().filter(|seat| seat.left_at.is_none()).count()
    }

    /// Whether somebody is the only owner, and there are others whom the group would be left to.
    pub fn is_last_owner(&self, user: UserId) -> bool {
        let mut owners = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.left_at.is_none() && seat.role == Role::Owner);
        owners.next().is_some_and(|(owner, _)| *owner == user)
            && owners.next().is_none()
            && self.size() > 1
    }

    /// Plays changes, which must be in their order, and gives what each comes to.
    pub fn play<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Verdict> {
        entries.into_iter().map(|entry| self.apply(entry)).collect()
    }

    /// Makes a change, if it may be made.
    pub fn apply(&mut self, entry: &Entry) -> Verdict {
        let verdict = match self.judge(&entry.change) {
            Ok(true) => Verdict::Done,
            Ok(false) => return Verdict::Moot,
            Err(code) => return Verdict::Refused(code),
        };
        let (at, app) = (entry.change.at, &entry.app);
        match &entry.change.deed {
            Deed::Title { title } => {
                self.title.clone_from(title);
                (self.title_at, self.title_app) = (at, app.clone());
            }
            Deed::Add { user, role } => {
                let seat = Seat {
                    role: *role,
                    joined_at: at,
                    left_at: None,
                    changed_at: at,
                    changed_app: app.clone(),
                };
                self.seats.insert(*user, seat);
            }
            Deed::Remove { user } => self.change_seat(*user, entry, |seat| seat.left_at = Some(at)),
            Deed::Role { user, role } => self.change_seat(*user, entry, |seat| seat.role = *role),
            Deed::End => self.ended_at = Some(at),
        }
        self.changed_at = at;
        self.succeed(entry);
        verdict
    }

    /// Whether a change may be made, and is one at all.
    fn judge(&self, change: &Change) -> Result<bool, &'static str> {
        let leaves = matches!(change.deed, Deed::Remove { user } if user == change.actor);
        let actor = match self.active(change.actor) {
            Some(actor) => actor.role,
            None if leaves && self.seats.contains_key(&change.actor) => return Ok(false),
            None => return Err("not_a_participant"),
        };
        if self.ended_at.is_some() && !leaves {
            return if change.deed == Deed::End { Ok(false) } else { Err("conversation_ended") };
        }
        let may = |may: bool| if may { Ok(()) } else { Err("not_permitted") };
        match &change.deed {
            Deed::Title { title } => {
                may(actor <= Role::Admin)?;
                Ok(self.title != *title)
            }
            Deed::Add { user, role } => {
                may(actor == Role::Owner || (actor == Role::Admin && *role == Role::Member))?;
                if self.active(*user).is_some() {
                    return Ok(false);
                }
                if self.size() < MAX_PARTICIPANTS { Ok(true) } else { Err("group_full") }
            }
            Deed::Remove { user } => {
                let whom = self.active(*user).map(|seat| seat.role);
                let lower = actor == Role::Admin && whom.is_none_or(|role| role == Role::Member);
                may(leaves || actor == Role::Owner || lower)?;
                Ok(whom.is_some())
            }
            Deed::Role { user, role } => {
                may(actor == Role::Owner)?;
                match self.active(*user) {
                    Some(seat) => Ok(seat.role != *role),
                    None => Err("no_such_participant"),
                }
            }
            Deed::End => may(actor == Role::Owner).map(|()| true),
        }
    }

    fn change_seat(&mut self, user: UserId, entry: &Entry, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.seats.get_mut(&user) {
            change(seat);
            (seat.changed_at, seat.changed_app) = (entry.change.at, entry.app.clone());
        }
    }

    /// Two owners who leave at the same moment on two apps leave none. Then the highest role, and of those who have
    /// it whoever has been there longest, is the owner.
    fn succeed(&mut self, entry: &Entry) {
        let active = || self.seats.iter().filter(|(_, seat)| seat.left_at.is_none());
        if self.ended_at.is_some() || active().any(|(_, seat)| seat.role == Role::Owner) {
            return;
        }
        let heir = active().min_by_key(|(user, seat)| (seat.role, seat.joined_at, **user));
        if let Some(heir) = heir.map(|(user, _)| *user) {
            self.change_seat(heir, entry, |seat| seat.role = Role::Owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::seq::IndexedRandom;
    use rand::{RngExt, SeedableRng};
    use uuid::Uuid;

    use super::*;

    fn user(number: u128) -> UserId {
        Uuid::from_u128(number).into()
    }

    /// Users with even numbers are of AppA, the others of AppB.
    fn entry(at: i64, actor: u128, deed: Deed) -> Entry {
        let app = if actor.is_multiple_of(2) { "app-a" } else { "app-b" };
        let at = Timestamp::from_micros(at);
        Entry { change: Change { at, actor: user(actor), deed }, app: app.parse().unwrap() }
    }

    fn add(who: u128, role: Role) -> Deed {
        Deed::Add { user: user(who), role }
    }

    fn remove(who: u128) -> Deed {
        Deed::Remove { user: user(who) }
    }

    fn role(who: u128, role: Role) -> Deed {
        Deed::Role { user: user(who), role }
    }

    fn title(title: &str) -> Deed {
        Deed::Title { title: Some(title.to_owned()) }
    }

    fn begun() -> Group {
        Group::begin(user(0), &"app-a".parse().unwrap(), Timestamp::from_micros(0))
    }

    fn played(entries: &mut Vec<Entry>) -> (Group, Vec<Verdict>) {
        entries.sort();
        let mut group = begun();
        let verdicts = group.play(&*entries);
        (group, verdicts)
    }

    #[test]
    fn each_role_may_do_what_it_may() {
        use Role::{Admin, Member, Owner};
        use Verdict::{Done, Refused};
        let team = [
            entry(1, 0, add(1, Owner)),
            entry(2, 0, add(2, Admin)),
            entry(3, 0, add(4, Admin)),
            entry(4, 0, add(6, Member)),
            entry(5, 0, add(8, Member)),
        ];
        let no = Refused("not_permitted");
        let out = Refused("not_a_participant");
        for (actor, deed, expected) in [
            (1, title("x"), Done),
            (2, title("x"), Done),
            (6, title("x"), no),
            (9, title("x"), out),
            (1, add(10, Owner), Done),
            (2, add(10, Member), Done),
            (2, add(10, Admin), no),
            (6, add(10, Member), no),
            (9, add(9, Owner), out),
            (1, remove(0), Done),
            (1, remove(2), Done),
            (2, remove(6), Done),
            (2, remove(4), no),
            (2, remove(0), no),
            (6, remove(8), no),
            (6, remove(6), Done),
            (2, remove(2), Done),
            (1, role(6, Owner), Done),
            (1, role(0, Member), Done),
            (2, role(6, Admin), no),
            (2, role(2, Owner), no),
            (6, role(6, Owner), no),
            (1, role(9, Admin), Refused("no_such_participant")),
            (1, Deed::End, Done),
            (2, Deed::End, no),
            (6, Deed::End, no),
        ] {
            let mut group = begun();
            assert_eq!(group.play(&team), [Done; 5]);
            assert_eq!(group.apply(&entry(6, actor, deed.clone())), expected, "{actor} {deed:?}");
        }
    }

    #[test]
    fn what_somebody_did_after_they_were_demoted_comes_to_nothing_though_it_arrived_first() {
        let mut entries = vec![
            entry(1, 0, add(1, Role::Admin)),
            entry(5, 1, title("x")),
            entry(6, 1, add(3, Role::Member)),
        ];
        let (group, _) = played(&mut entries);
        assert_eq!((group.title.as_deref(), group.size()), (Some("x"), 3));
        entries.push(entry(4, 0, role(1, Role::Member)));
        let (group, _) = played(&mut entries);
        assert_eq!((group.title, group.seats.len()), (None, 2));
    }

    #[test]
    fn what_somebody_did_after_they_were_promoted_counts_though_it_arrived_first() {
        let mut entries = vec![entry(1, 0, add(1, Role::Member)), entry(5, 1, title("x"))];
        assert_eq!(played(&mut entries).1[1], Verdict::Refused("not_permitted"));
        entries.push(entry(4, 0, role(1, Role::Admin)));
        assert_eq!(played(&mut entries).0.title.as_deref(), Some("x"));
    }

    #[test]
    fn two_owners_who_leave_at_once_leave_the_group_to_the_next() {
        let mut entries = vec![
            entry(1, 0, add(1, Role::Owner)),
            entry(2, 0, add(3, Role::Member)),
            entry(3, 0, add(5, Role::Admin)),
            entry(9, 0, remove(0)),
            entry(9, 1, remove(1)),
        ];
        let (group, verdicts) = played(&mut entries);
        assert_eq!(verdicts[3..], [Verdict::Done; 2]);
        assert_eq!(group.active(user(5)).unwrap().role, Role::Owner);
        assert_eq!(group.size(), 2);
    }

    #[test]
    fn after_the_end_one_can_only_leave() {
        let mut entries = vec![
            entry(1, 0, add(1, Role::Admin)),
            entry(5, 0, Deed::End),
            entry(6, 1, title("x")),
            entry(7, 1, remove(1)),
            entry(8, 0, remove(0)),
        ];
        let (group, verdicts) = played(&mut entries);
        assert_eq!(verdicts[2], Verdict::Refused("conversation_ended"));
        assert_eq!((group.size(), group.title), (0, None));
    }

    #[test]
    fn a_group_that_goes_on_has_an_owner_whatever_is_done_to_it() {
        let seed = rand::random::<u64>();
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..500 {
            let mut entries: Vec<Entry> = (0..40)
                .map(|_| {
                    let (at, actor, who) =
                        (rng.random_range(1..60), rng.random_range(0..6), rng.random_range(0..6));
                    let any = *[Role::Owner, Role::Admin, Role::Member].choose(&mut rng).unwrap();
                    let deed = match rng.random_range(0..40) {
                        0..14 => add(who, any),
                        14..24 => remove(who),
                        24..34 => role(who, any),
                        34..39 => title(&who.to_string()),
                        _ => Deed::End,
                    };
                    entry(at, actor, deed)
                })
                .collect();
            entries.sort();
            entries.dedup_by(|one, other| one.key() == other.key());
            let mut group = begun();
            for entry in &entries {
                let before = group.clone();
                if group.apply(entry) != Verdict::Done {
                    assert_eq!(group, before, "seed {seed}");
                }
                let owner =
                    group.seats.values().any(|s| s.left_at.is_none() && s.role == Role::Owner);
                let goes_on = group.ended_at.is_none() && group.size() > 0;
                assert!(owner || !goes_on, "seed {seed}: {group:?}");
            }
        }
    }
}
