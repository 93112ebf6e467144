use std::fmt::Write;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use shared::encryption::SearchTerms;
use shared::id::{ConversationId, MessageId, UserId};
use shared::problem::Problem;
use shared::time::Timestamp;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::App;
use crate::db::Statement;
use crate::http::Params;
use crate::search;

/// The filters of a list of messages, as the description of the API shows them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes, and is never made")]
pub struct FilterParams {
    /// Only those of one conversation; of one that the caller does not know there are none.
    conversation: Option<ConversationId>,
    /// Only those of one sender: an id, a username of this app or an address.
    #[param(example = "bob@app-b")]
    user: Option<String>,
    /// Only the answers to one message.
    parent: Option<MessageId>,
    /// Only those from this date or date-time on.
    #[param(example = "2026-01-31")]
    start_date: Option<String>,
    /// Only those up to this date-time, or to the end of this date, in UTC.
    #[param(example = "2026-01-31T12:00:00Z")]
    end_date: Option<String>,
    /// Only those with all of these words: at most 32, of at most 64 characters. Whole words count, whatever their case
    /// and accents; in Chinese and Japanese each character is one. Deleted messages are not found.
    #[param(min_length = 1, max_length = 500, example = "dinner eight")]
    search: Option<String>,
    /// `created_at` or `-created_at`, which is the default: the newest first.
    #[param(pattern = "^-?created_at$")]
    ordering: Option<String>,
}

/// The condition that a message, by its name in the statement, is unread for the participant `p`.
macro_rules! unread {
    ($x:literal) => {
        concat!(
            $x,
            ".created_at > p.read_at AND (",
            $x,
            ".created_at > p.read_until OR ",
            $x,
            ".created_at > COALESCE((SELECT r.read_to FROM receipts r JOIN users s
                ON s.app = r.origin WHERE s.id = ",
            $x,
            ".sender_id
                AND r.conversation_id = p.conversation_id AND r.user_id = p.user_id), 0))"
        )
    };
}
pub(crate) use unread;

/// Which messages a list holds.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Who asks; the list never holds what they may not see.
    pub caller: UserId,
    /// Only those of others.
    pub of_others: bool,
    /// Only those after the caller's read position.
    pub unread: bool,
    /// Only those of one conversation.
    pub conversation: Option<ConversationId>,
    /// Only those of one sender; the nil id is nobody's.
    pub sender: Option<UserId>,
    /// Only the answers to one message.
    pub parent: Option<MessageId>,
    /// Only those from this moment on.
    pub from: Option<Timestamp>,
    /// Only those before this moment.
    pub until: Option<Timestamp>,
    /// Only those with all the words of a search, and never deleted ones.
    pub terms: Option<SearchTerms>,
    /// The oldest first, rather than the newest.
    pub oldest_first: bool,
}

impl Filter {
    /// All messages that a user may see, the newest first.
    pub fn of(caller: UserId) -> Self {
        Self {
            caller,
            of_others: false,
            unread: false,
            conversation: None,
            sender: None,
            parent: None,
            from: None,
            until: None,
            terms: None,
            oldest_first: false,
        }
    }

    /// The filter that a query asks for: `conversation`, `user`, `parent`, `start_date`, `end_date` and `ordering`.
    pub async fn read(app: &App, caller: UserId, params: &Params) -> Result<Self, Problem> {
        const UUID: &str = "This should be a UUID.";
        let from = moment(params, "start_date", false)?;
        let until = moment(params, "end_date", true)?;
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            return Err(Problem::invalid().field("end_date", "This is before start_date."));
        }
        let sender = match params.get("user") {
            Some(name) => {
                let known = Box::pin(app.directory.find_known(name)).await?;
                Some(known.map_or(Uuid::nil().into(), |user| user.id))
            }
            None => None,
        };
        let oldest_first = match params.get("ordering") {
            None | Some("-created_at") => false,
            Some("created_at") => true,
            Some(_) => {
                let why = "This should be created_at or -created_at.";
                return Err(Problem::invalid().field("ordering", why));
            }
        };
        Ok(Self {
            conversation: params.parse("conversation", UUID)?,
            sender,
            parent: params.parse("parent", UUID)?,
            from,
            until,
            oldest_first,
            ..Self::of(caller)
        })
    }

    /// Whether it leaves, of each conversation, all messages or all of others.
    pub(super) fn is_whole(&self) -> bool {
        let Self { unread, sender, parent, from, until, terms, .. } = self;
        !unread
            && sender.is_none()
            && parent.is_none()
            && from.is_none()
            && until.is_none()
            && terms.is_none()
    }

    /// The conditions on a message `x` and on the caller's participation `p` in its conversation.
    pub(super) fn conditions(&self, statement: &mut Statement) -> Conditions {
        let mut of_participants = format!("p.user_id = {}", statement.id(self.caller.uuid()));
        if let Some(id) = self.conversation {
            let _ = write!(of_participants, " AND p.conversation_id = {}", statement.id(id.uuid()));
        }
        let mut of_messages = String::from(
            "x.conversation_id = p.conversation_id
             AND (p.left_at IS NULL OR x.created_at <= p.left_at)",
        );
        if self.of_others {
            of_messages.push_str(" AND x.sender_id <> p.user_id");
        }
        if self.unread {
            of_messages.push_str(" AND ");
            of_messages.push_str(UNREAD);
        }
        if let Some(id) = self.sender {
            let _ = write!(of_messages, " AND x.sender_id = {}", statement.id(id.uuid()));
        }
        if let Some(id) = self.parent {
            let _ = write!(of_messages, " AND x.parent_id = {}", statement.id(id.uuid()));
        }
        if let Some(from) = self.from {
            let _ = write!(of_messages, " AND x.created_at >= {}", statement.number(from.micros()));
        }
        if let Some(until) = self.until {
            let _ = write!(of_messages, " AND x.created_at < {}", statement.number(until.micros()));
        }
        let mut source = String::from("messages x");
        if let Some(terms) = &self.terms {
            let is_postgres = statement.is_postgres();
            let found = search::found(terms, is_postgres, |text| statement.text(text));
            of_messages.push_str(found.condition);
            source = found.source;
        }
        Conditions { of_participants, of_messages, source }
    }
}

/// Whether a message `x` of somebody else is unread for the participant `p`. Between the two bounds, which are the same
/// unless messages of one app arrive after later ones of another, the register of the sender's app decides.
pub(super) const UNREAD: &str = unread!("x");

/// The conditions of a filter as SQL.
pub(super) struct Conditions {
    pub of_participants: String,
    pub of_messages: String,
    /// Where the messages come from: their table, or the index of the search and their table.
    pub source: String,
}

/// A date or a date-time in a query. A bare date is its whole day in UTC: its beginning or, for an end, the end of it.
fn moment(params: &Params, name: &'static str, end: bool) -> Result<Option<Timestamp>, Problem> {
    const FORM: &str =
        "This should be a date like 2026-01-31, or a date-time like 2026-01-31T12:00:00Z.";
    let Some(text) = params.get(name) else { return Ok(None) };
    let invalid = || Problem::invalid().field(name, FORM);
    if let Ok(moment) = text.parse::<Timestamp>() {
        // The end is exclusive in here, and inclusive in the query.
        return Ok(Some(Timestamp::from_micros(moment.micros() + i64::from(end))));
    }
    // The parser of dates would take a date-time without its zone, and leave the time away.
    let date: Date = (text.len() == 10).then(|| text.parse().ok()).flatten().ok_or_else(invalid)?;
    let day = if end { date.tomorrow().map_err(|_| invalid())? } else { date };
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| invalid())?;
    Ok(Some(Timestamp::from_micros(midnight.timestamp().as_microsecond())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_date_is_its_whole_day() {
        let params = |text: &str| Params::of([("d", text)]);
        let at = |text: &str, end| moment(&params(text), "d", end).unwrap().unwrap().to_string();
        assert_eq!(at("2026-01-31", false), "2026-01-31T00:00:00.000000Z");
        assert_eq!(at("2026-01-31", true), "2026-02-01T00:00:00.000000Z");
        assert_eq!(at("2026-01-31T12:00:00Z", false), "2026-01-31T12:00:00.000000Z");
        assert_eq!(at("2026-01-31T13:00:00+01:00", true), "2026-01-31T12:00:00.000001Z");
        for bad in [
            "",
            "x",
            "2025-02-30",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00 01:00",
            "20260131",
            "31.01.2026",
        ] {
            assert!(moment(&params(bad), "d", false).is_err(), "{bad}");
        }
    }
}
