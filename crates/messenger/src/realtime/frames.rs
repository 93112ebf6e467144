use serde::Deserialize;
use shared::id::{ConversationId, MessageId};
use shared::problem::Problem;

use super::cursor::Cursor;

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The user is writing, or has stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Whether they are writing.
        active: bool,
    },
    /// The user has read everything up to a message.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Up to which message.
        message: MessageId,
    },
    /// Are you there?
    Ping,
}

impl ClientFrame {
    /// Reads a frame; what is wrong with it is said without quoting it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            kind: String,
        }
        let malformed = || Problem::malformed("A frame is a JSON object with a type.");
        // A list of the values in their order would fit the types too.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(malformed());
        }
        let kind: Kind = serde_json::from_str(text).map_err(|_| malformed())?;
        if !["typing", "read", "ping"].contains(&kind.kind.as_str()) {
            let why = "The types of frames are typing, read and ping.";
            return Err(Problem::new(http::StatusCode::BAD_REQUEST, "unknown_type", why));
        }
        serde_json::from_str(text).map_err(|_| {
            let why = match kind.kind.as_str() {
                "typing" => "A typing frame has a conversation and active.",
                "read" => "A read frame has a conversation and a message.",
                _ => "A ping frame has nothing but its type.",
            };
            Problem::new(http::StatusCode::BAD_REQUEST, "invalid", why)
        })
    }
}

/// A frame for a client: its place in the log, what it is, and its data as JSON, if it has any.
pub fn frame(cursor: Cursor, name: &str, data: Option<&str>) -> String {
    let mut text = String::with_capacity(80 + data.map_or(0, str::len));
    // The cursor is base64url and the name is ours, so neither needs an escape.
    text.push_str("{\"cursor\":\"");
    text.push_str(&cursor.to_string());
    text.push_str("\",\"type\":\"");
    text.push_str(name);
    text.push('"');
    if let Some(data) = data {
        text.push_str(",\"data\":");
        text.push_str(data);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_or_refused_with_a_code() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let typing = format!(r#"{{"type":"typing","conversation":"{id}","active":true}}"#);
        assert!(matches!(
            ClientFrame::parse(&typing),
            Ok(ClientFrame::Typing { active: true, .. })
        ));
        let read = format!(r#"{{"conversation":"{id}","message":"{id}","type":"read","more":1}}"#);
        assert!(matches!(ClientFrame::parse(&read), Ok(ClientFrame::Read { .. })));
        assert!(matches!(ClientFrame::parse(r#"{"type":"ping"}"#), Ok(ClientFrame::Ping)));
        let deep = format!("{{\"type\":{}", "[".repeat(10_000));
        for (text, code) in [
            ("", "malformed"),
            ("ping", "malformed"),
            ("{}", "malformed"),
            (r#"["ping"]"#, "malformed"),
            (r#"{"type":5}"#, "malformed"),
            (r#"{"type":"ping""#, "malformed"),
            (deep.as_str(), "malformed"),
            (r#"{"type":"subscribe"}"#, "unknown_type"),
            (r#"{"type":"typing"}"#, "invalid"),
            (r#"{"type":"typing","conversation":"x","active":true}"#, "invalid"),
            (r#"{"type":"read","conversation":"x"}"#, "invalid"),
        ] {
            assert_eq!(ClientFrame::parse(text).unwrap_err().code(), code, "{text}");
        }
    }
}
