use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::time::Timestamp;

/// A place in the event log: that of a row, and the moment of that row.
///
/// The moment makes it likely that a cursor from another history of the
/// same database, before it was restored from a backup, is seen to be one. To a client it is an opaque text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The row's number.
    pub seq: i64,
    /// When the row was written.
    pub at: Timestamp,
}

impl Cursor {
    /// The cursor that a text spells, if it has the form of one; whether there is such a row is for the log to say.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let number = |from: usize| {
            bytes[from..from + 8].iter().fold(0i64, |number, &byte| number << 8 | i64::from(byte))
        };
        Some(Self { seq: number(0), at: Timestamp::from_micros(number(8)) })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.at.micros().to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text_and_rubbish_is_none() {
        for (seq, at) in [(1, 1_700_000_000_000_000), (i64::MAX, 0), (-1, -1)] {
            let cursor = Cursor { seq, at: Timestamp::from_micros(at) };
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for rubbish in ["", "x", "AAAA", &"A".repeat(23), &"ä".repeat(11), &"!".repeat(22)] {
            assert_eq!(Cursor::parse(rubbish), None, "{rubbish}");
        }
    }
}
