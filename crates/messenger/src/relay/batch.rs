use std::collections::{HashMap, HashSet};

use shared::id::{ConversationId, EventId, StreamId, UserId};
use shared::problem::Problem;
use shared::relay::{Change, Deed, Event, EventBody, ReceiptState};
use uuid::Uuid;

use super::store::{EventKind, Waiting};
use crate::conversations;
use crate::db::Conn;
use crate::receipts;
use crate::users;

/// Bytes of a user or of a change in a conversation's state, roughly.
const ABOUT_A_LINE: usize = 250;
/// Bytes of an event beside its token, terms or state, roughly.
const ABOUT_AN_EVENT: usize = 500;

/// What one batch holds.
pub struct Contents {
    /// Consecutive events.
    pub events: Vec<Event>,
    /// How many bytes they take, roughly.
    pub bytes: usize,
    /// Whether others were left out, as there was no room.
    pub is_cut: bool,
}

/// The first of those that wait, as what they tell of is now, in so many bytes; one that is longer goes alone.
pub async fn contents(
    conn: &mut Conn,
    stream: StreamId,
    mut waiting: Vec<Waiting>,
    room: usize,
) -> Result<Contents, Problem> {
    let of_registers = waiting.iter().filter(|waiting| waiting.kind == EventKind::Receipt);
    let registers: Vec<Uuid> = of_registers.map(|waiting| waiting.subject).collect();
    let mut registers = receipts::states(conn, &registers).await?;
    let events = Vec::with_capacity(waiting.len());
    let mut contents = Contents { events, bytes: 0, is_cut: false };
    leave_to_the_last(&mut waiting);
    for waiting in waiting {
        let event = event(conn, stream, waiting, &mut registers).await?;
        let bytes = contents.bytes + ABOUT_AN_EVENT + size(&event.body);
        if bytes > room && !contents.events.is_empty() {
            contents.is_cut = true;
            break;
        }
        contents.bytes = bytes;
        contents.events.push(event);
    }
    Ok(contents)
}

async fn event(
    conn: &mut Conn,
    stream: StreamId,
    waiting: Waiting,
    registers: &mut HashMap<Uuid, ReceiptState>,
) -> Result<Event, Problem> {
    let Waiting { seq, kind, subject, trace, message, .. } = waiting;
    let body = match (kind, message) {
        (EventKind::Message | EventKind::MessageChange, Some(state)) => {
            EventBody::Message(Box::new(state))
        }
        (EventKind::Conversation, _) => {
            let state = conversations::state(conn, ConversationId::from(subject)).await?;
            state.map_or(EventBody::Void, |state| EventBody::Conversation(Box::new(state)))
        }
        (EventKind::User, _) => {
            let state = users::state(conn, UserId::from(subject)).await?;
            state.map_or(EventBody::Void, |state| EventBody::User(Box::new(state)))
        }
        (EventKind::Recovered, _) => EventBody::Recovered { id: subject },
        (EventKind::Receipt, _) => {
            let state = registers.remove(&subject);
            state.map_or(EventBody::Void, |state| EventBody::Receipt(Box::new(state)))
        }
        _ => EventBody::Void,
    };
    Ok(Event { id: Some(EventId::of(stream, seq)), seq, trace, body })
}

/// Makes void what a later event says as well: each event of a conversation tells all of it, so of several the last
/// is enough. But a message must come after what its sender takes part by, and the peer may know any number of
/// these events already and look at the others alone.
fn leave_to_the_last(waiting: &mut [Waiting]) {
    let mut said_later = HashSet::new();
    for waiting in waiting.iter_mut().rev() {
        if let Some(message) = &waiting.message {
            said_later.remove(&message.conversation.uuid());
        } else if waiting.kind == EventKind::Conversation && !said_later.insert(waiting.subject) {
            waiting.kind = EventKind::Void;
        }
    }
}

/// About how many bytes what an event tells takes.
fn size(body: &EventBody) -> usize {
    match body {
        EventBody::Message(state) => {
            let terms = state.terms.as_ref().map_or(0, |terms| terms.packed().len() * 4 / 3);
            state.content.as_ref().map_or(0, |content| content.token().len()) + terms
        }
        EventBody::Conversation(state) => {
            let title = |change: &Change| match &change.deed {
                Deed::Title { title } => title.as_ref().map_or(0, String::len),
                _ => 0,
            };
            let lines = state.users.len() + state.changes.len();
            lines * ABOUT_A_LINE + state.changes.iter().map(title).sum::<usize>()
        }
        EventBody::User(_) | EventBody::Receipt(_) => ABOUT_A_LINE,
        EventBody::Void | EventBody::Recovered { .. } => 0,
    }
}
