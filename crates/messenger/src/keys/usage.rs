use std::collections::BTreeMap;

use serde::Serialize;
use shared::encryption::{KeyId, Keyring};

use super::store;
use crate::db::{Conn, Db, Result};

/// How much is sealed with a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Texts of messages.
    pub messages: i64,
    /// Private fields of accounts.
    pub fields: i64,
    /// Keys that the app has made for itself.
    pub secrets: i64,
    /// Answers that are kept for requests that may be repeated, and events that were set aside.
    pub answers: i64,
    /// Messages whose search terms were made with it.
    pub terms: i64,
}

impl Usage {
    /// Whether nothing needs the key.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What needs the key, in words.
    pub fn describe(&self) -> String {
        let parts = [
            (self.messages, "messages"),
            (self.fields, "fields"),
            (self.secrets, "secrets"),
            (self.answers, "answers"),
            (self.terms, "search terms"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }
}

/// How much is sealed with each of these keys, and with others that something bears the name of.
///
/// It reads through an index of the messages, and through their search terms.
pub async fn usage(conn: &mut Conn, ring: &[KeyId]) -> Result<BTreeMap<KeyId, Usage>> {
    let mut found: BTreeMap<KeyId, Usage> =
        ring.iter().map(|key| (*key, Usage::default())).collect();
    for (key, count) in store::messages(conn).await? {
        found.entry(key).or_default().messages = count;
    }
    for (key, count) in store::fields(conn).await? {
        found.entry(key).or_default().fields = count;
    }
    for (key, count) in store::secrets(conn).await? {
        found.entry(key).or_default().secrets = count;
    }
    for key in ring {
        let usage = found.entry(*key).or_default();
        usage.answers = store::answers(conn, *key).await?;
        usage.terms = store::terms(conn, *key).await?;
    }
    Ok(found)
}

/// Messages that are looked at before it is taken that more of them do not open.
const LOOKED_AT: i64 = 1000;

/// What would be lost with a key. Messages that bear its name and do not open with any key are not counted: a peer can
/// send such ones, and the key is no help with them.
pub async fn still_needs(db: &Db, keyring: &Keyring, key: KeyId) -> Result<Usage> {
    let mut conn = db.read().await?;
    let mut found = usage(&mut conn, &[key]).await?.remove(&key).unwrap_or_default();
    if found.messages <= LOOKED_AT {
        let rest = store::messages_of(&mut conn, key, LOOKED_AT).await?;
        let needed = rest.iter().filter(|content| keyring.reseal(content).is_ok()).count();
        found.messages = i64::try_from(needed).unwrap_or(i64::MAX);
    }
    Ok(found)
}
