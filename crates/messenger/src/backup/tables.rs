/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Id,
    /// Bytes.
    Bytes,
    /// A whole number.
    Number,
    /// A small one.
    Small,
    /// Yes or no.
    Flag,
    /// A text.
    Text,
}

/// A table of a backup.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [(&'static str, Kind)],
}

use Kind::{Bytes, Flag, Id, Number, Small, Text};

const fn table(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Table {
    Table { name, columns }
}

/// What a backup leaves out: what is made anew from the rest, and what counts for a moment.
pub const LEFT_OUT: &[&str] = &[
    "tallies",
    "search_queue",
    "search_documents",
    "search_terms",
    "event_log",
    "socket_tickets",
    "leases",
    "peers",
    "restores",
    "recoveries",
];

/// All other tables, in an order in which each refers to those before it.
pub const TABLES: &[Table] = &[
    table(
        "users",
        &[
            ("id", Id),
            ("app", Text),
            ("username", Text),
            ("username_key", Text),
            ("first_name", Text),
            ("last_name", Text),
            ("vouched", Flag),
            ("created_at", Number),
            ("search_key", Text),
            ("picture", Text),
            ("is_active", Flag),
            ("changed_at", Number),
        ],
    ),
    table(
        "accounts",
        &[
            // First, as rows go by it: an account is added by one that was there before.
            ("created_at", Number),
            ("user_id", Id),
            ("email_hash", Bytes),
            ("email", Text),
            ("email_key_id", Number),
            ("password_hash", Text),
            ("role", Small),
            ("dob", Text),
            ("dob_key_id", Number),
            ("phone_number", Text),
            ("phone_number_key_id", Number),
            ("emergency_contact", Text),
            ("emergency_contact_key_id", Number),
            ("added_by", Id),
            ("read_receipts", Flag),
        ],
    ),
    table("pictures", &[("user_id", Id), ("version", Text), ("image", Bytes)]),
    table(
        "sessions",
        &[
            ("id", Id),
            ("user_id", Id),
            ("created_at", Number),
            ("expires_at", Number),
            ("ended_at", Number),
            ("user_agent", Text),
        ],
    ),
    table(
        "refresh_tokens",
        &[
            ("hash", Bytes),
            ("session_id", Id),
            ("salt", Bytes),
            ("created_at", Number),
            ("spent_at", Number),
        ],
    ),
    table("secrets", &[("name", Text), ("value", Text), ("key_id", Number)]),
    table("held_keys", &[("id", Number), ("held_at", Number)]),
    table(
        "conversations",
        &[
            ("id", Id),
            ("kind", Small),
            ("title", Text),
            ("title_at", Number),
            ("title_app", Text),
            ("created_by", Id),
            ("created_at", Number),
            ("changed_at", Number),
            ("ended_at", Number),
        ],
    ),
    table(
        "participants",
        &[
            ("conversation_id", Id),
            ("user_id", Id),
            ("role", Small),
            ("joined_at", Number),
            ("left_at", Number),
            ("changed_at", Number),
            ("changed_app", Text),
            ("read_at", Number),
            ("hidden_at_count", Number),
            ("read_until", Number),
        ],
    ),
    table(
        "changes",
        &[
            ("conversation_id", Id),
            ("at", Number),
            ("app", Text),
            ("kind", Small),
            ("user_id", Id),
            ("actor_id", Id),
            ("role", Small),
            ("title", Text),
        ],
    ),
    table(
        "messages",
        &[
            ("id", Id),
            ("conversation_id", Id),
            ("sender_id", Id),
            ("parent_id", Id),
            ("content", Text),
            ("key_id", Number),
            ("revision", Number),
            ("created_at", Number),
            ("edited_at", Number),
            ("deleted_at", Number),
            ("status", Small),
            ("status_reason", Text),
            ("pending", Small),
            ("terms", Bytes),
        ],
    ),
    table(
        "failures",
        &[("message_id", Id), ("app", Text), ("reason", Text), ("failed_at", Number)],
    ),
    table(
        "receipts",
        &[
            ("conversation_id", Id),
            ("origin", Text),
            ("user_id", Id),
            ("id", Id),
            ("delivered_from", Number),
            ("delivered_to", Number),
            ("delivered_at", Number),
            ("seen_from", Number),
            ("seen_to", Number),
            ("seen_at", Number),
            ("read_to", Number),
            ("untold", Number),
        ],
    ),
    table(
        "idempotency_keys",
        &[
            ("user_id", Id),
            ("key", Text),
            ("key_id", Number),
            ("fingerprint", Bytes),
            ("status", Small),
            ("response", Text),
            ("created_at", Number),
        ],
    ),
    table("streams", &[("peer", Text), ("stream", Id), ("last_seq", Number), ("last_at", Number)]),
    table(
        "outbox",
        &[
            ("peer", Text),
            ("seq", Number),
            ("kind", Small),
            ("subject", Id),
            ("trace", Id),
            ("created_at", Number),
        ],
    ),
    table(
        "positions",
        &[("origin", Text), ("stream", Id), ("position", Number), ("heard_to", Number)],
    ),
    table("refusals", &[("origin", Text), ("stream", Id), ("seq", Number), ("code", Text)]),
    table(
        "parked",
        &[
            ("origin", Text),
            ("stream", Id),
            ("seq", Number),
            ("conversation_id", Id),
            ("body", Text),
            ("parked_at", Number),
        ],
    ),
    table("settings", &[("name", Text), ("value", Number), ("changed_at", Number)]),
    table(
        "audit",
        &[
            ("id", Id),
            ("created_at", Number),
            ("actor_id", Id),
            ("action", Text),
            ("subject", Text),
            ("details", Text),
        ],
    ),
    table("known_places", &[("user_id", Id), ("place", Bytes), ("used_at", Number)]),
];
