use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shared::address::AppName;
use shared::models::{AccountRole, UserCard, fold};

/// Which users of an app are asked for, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UserQuery {
    /// A part of the username, or of first and last name; folded.
    pub search: String,
    /// Only those of one role.
    pub role: Option<AccountRole>,
    /// Only those who are active, or only those who are not; `None` for both.
    pub is_active: Option<bool>,
    /// The order.
    pub order: Order,
}

/// The order of a list of users; total, so that the lists of several apps can be merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Order {
    by: By,
    descending: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum By {
    #[default]
    Username,
    /// An id carries the moment at which it was minted.
    CreatedAt,
}

/// The text is no order; the sentence says what is.
#[derive(Clone, Copy, Debug)]
pub struct NoOrder;

impl NoOrder {
    /// For whoever has asked for it.
    pub const MESSAGE: &str = "This should be username, -username, created_at or -created_at.";
}

impl Order {
    /// What follows `ORDER BY`.
    pub const fn sql(self) -> &'static str {
        match (self.by, self.descending) {
            (By::Username, false) => "u.username_key",
            (By::Username, true) => "u.username_key DESC",
            (By::CreatedAt, false) => "u.id",
            (By::CreatedAt, true) => "u.id DESC",
        }
    }

    /// Where a user stands in the list.
    pub fn place(self, user: &UserCard) -> Place {
        let key = match self.by {
            By::Username => user.username.key(),
            By::CreatedAt => user.id.to_string(),
        };
        Place { descending: self.descending, key, app: user.app.clone() }
    }

    /// Whether the last come first.
    pub const fn is_descending(self) -> bool {
        self.descending
    }

    /// The column that the order goes by.
    pub const fn column(self) -> &'static str {
        match self.by {
            By::Username => "u.username_key",
            By::CreatedAt => "u.id",
        }
    }

    /// Which of two users comes first.
    pub fn compare(self, one: &UserCard, other: &UserCard) -> Ordering {
        let by = match self.by {
            By::Username => one.username.key().cmp(&other.username.key()),
            By::CreatedAt => one.id.cmp(&other.id),
        };
        let by = if self.descending { by.reverse() } else { by };
        by.then_with(|| one.app.cmp(&other.app))
    }
}

/// Where a user stands in a list that is ordered so; those who stand first are less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    descending: bool,
    /// The username without regard to case, or the id.
    pub key: String,
    app: AppName,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let by = self.key.cmp(&other.key);
        let by = if self.descending { by.reverse() } else { by };
        by.then_with(|| self.app.cmp(&other.app))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Order {
    type Err = NoOrder;

    fn from_str(text: &str) -> Result<Self, NoOrder> {
        let (descending, field) = match text.strip_prefix('-') {
            Some(field) => (true, field),
            None => (false, text),
        };
        let by = match field {
            "username" => By::Username,
            "created_at" => By::CreatedAt,
            _ => return Err(NoOrder),
        };
        Ok(Self { by, descending })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minus = if self.descending { "-" } else { "" };
        let field = match self.by {
            By::Username => "username",
            By::CreatedAt => "created_at",
        };
        write!(f, "{minus}{field}")
    }
}

/// Characters of a search, at most.
pub const MAX_SEARCH: usize = 200;

impl UserQuery {
    /// The active users that a peer, or somebody who is no admin, may find; `None` if the search is too long.
    pub fn of(search: &str, order: Order) -> Option<Self> {
        let short = search.chars().count() <= MAX_SEARCH;
        let search = short.then(|| fold(search.trim()).replace(char::is_control, ""));
        search.map(|search| Self { search, role: None, is_active: Some(true), order })
    }

    /// The pattern for `LIKE … ESCAPE '!'`; every character of the search stands for itself.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::from("%");
        for character in self.search.chars() {
            if matches!(character, '!' | '%' | '_') {
                pattern.push('!');
            }
            pattern.push(character);
        }
        pattern.push('%');
        pattern
    }

    /// The number of the role, or -1.
    pub(super) fn role_number(&self) -> i16 {
        self.role.map_or(-1, AccountRole::number)
    }

    /// The two values of `is_active` that count; the same twice if there is one.
    pub(super) fn activity(&self) -> (bool, bool) {
        match self.is_active {
            Some(active) => (active, active),
            None => (true, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_themselves() {
        let pattern = |search| UserQuery::of(search, Order::default()).unwrap().pattern();
        assert_eq!(pattern("50%_!"), "%50!%!_!!%");
        assert_eq!(pattern(" ÅSA\0 "), "%åsa%");
        assert!(UserQuery::of(&"x".repeat(201), Order::default()).is_none());
    }

    #[test]
    fn orders_are_read_as_they_are_written() {
        for text in ["username", "-username", "created_at", "-created_at"] {
            assert_eq!(text.parse::<Order>().unwrap().to_string(), text);
        }
        for text in ["", "-", "id", "--username", "username,created_at"] {
            assert!(text.parse::<Order>().is_err(), "{text}");
        }
    }
}
