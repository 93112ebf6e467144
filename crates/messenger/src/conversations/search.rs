use std::collections::HashSet;

use shared::id::{ConversationId, UserId};

use super::store;
use crate::db::{Conn, Result};

/// The conversations of a user whose title, or the name of somebody in them, contains a text.
///
/// The names are compared here and not by the database: neither folds the case of all letters, and to the databases
/// `%` and `_` would mean something.
pub async fn matching(
    conn: &mut Conn,
    user: UserId,
    text: &str,
) -> Result<HashSet<ConversationId>> {
    let text = fold(text);
    let is_in = |name: &str| fold(name).contains(&text);
    let mut found = HashSet::new();
    for (id, title) in store::titles(conn, user).await? {
        if title.is_some_and(|title| is_in(&title)) {
            found.insert(id);
        }
    }
    for (id, names) in store::names(conn, user).await? {
        if !found.contains(&id) && names.iter().any(|name| is_in(name)) {
            found.insert(id);
        }
    }
    Ok(found)
}

/// A text without regard to case. Upper case has one form of each letter where lower case may have two.
fn fold(text: &str) -> String {
    text.to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_is_folded_in_all_scripts() {
        for (one, other) in
            [("ÉTÉ", "été"), ("Straße", "STRASSE"), ("ΟΔΟΣ", "οδος"), ("ЖУК", "жук")]
        {
            assert_eq!(fold(one), fold(other));
        }
    }
}
