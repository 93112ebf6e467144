//! What a token is bound to.
//!
//! Fernet has no associated data, so the sealed plaintext begins with a header that says where the token belongs,
//! and opening compares it with the place where the token stands. Big-endian, 42 bytes, then the text in UTF-8:
//!
//! | Offset | Bytes | Content |
//! |--:|--:|---|
//! | 0 | 1 | version, 1; 2 is reserved for another cipher suite |
//! | 1 | 1 | kind: 1 message, 2 and up the fields of [`super::Field`] |
//! | 2 | 16 | id of the message, or of the owner of the field |
//! | 18 | 16 | id of the sender; zero for a field |
//! | 34 | 8 | revision, signed |
//! | 42 | | the text |
//!
//! A golden test pins it, and any Fernet library can read it with the key:
//! `Fernet(key).decrypt(token)[42:].decode()`.

use uuid::Uuid;

use crate::id::{MessageId, UserId};

/// Bytes before the text.
pub const HEADER: usize = 42;

const VERSION: u8 = 1;

/// Where a token belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub(super) kind: u8,
    pub(super) subject: Uuid,
    pub(super) sender: Uuid,
    pub(super) revision: i64,
}

impl Binding {
    /// The place of a message's text: whose it is, and which revision of it (0 for the original).
    pub fn message(id: MessageId, sender: UserId, revision: i64) -> Self {
        Self { kind: 1, subject: id.uuid(), sender: sender.uuid(), revision }
    }
}

/// Why an opened plaintext is not the text of the place where its token stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// It belongs to another message, sender, kind or revision.
    Moved,
    /// It has another version, or is no envelope at all.
    Version,
}

/// What a plaintext of this place begins with.
fn header(binding: &Binding) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = VERSION;
    header[1] = binding.kind;
    header[2..18].copy_from_slice(binding.subject.as_bytes());
    header[18..34].copy_from_slice(binding.sender.as_bytes());
    header[34..].copy_from_slice(&binding.revision.to_be_bytes());
    header
}

/// The plaintext to seal.
pub(super) fn wrap(binding: &Binding, text: &str) -> Vec<u8> {
    [&header(binding), text.as_bytes()].concat()
}

/// The text of an opened plaintext, if it was sealed for this place.
pub(super) fn unwrap(binding: &Binding, mut plaintext: Vec<u8>) -> Result<String, Mismatch> {
    if plaintext.len() < HEADER || plaintext[0] != VERSION {
        return Err(Mismatch::Version);
    }
    if plaintext[..HEADER] != header(binding) {
        return Err(Mismatch::Moved);
    }
    plaintext.drain(..HEADER);
    String::from_utf8(plaintext).map_err(|_| Mismatch::Version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> (MessageId, UserId) {
        let id = |text: &str| Uuid::parse_str(text).unwrap();
        (
            id("01890a5d-ac96-774b-bcce-b302099a8057").into(),
            id("01890a5d-ac96-7aaa-8bbb-b302099a8058").into(),
        )
    }

    #[test]
    fn the_layout_is_this_and_stays_this() {
        let (message, sender) = ids();
        let golden: &[u8] = &[
            0x01, 0x01, // version, kind
            0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b, // message …
            0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57, //
            0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x7a, 0xaa, // sender …
            0x8b, 0xbb, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x58, //
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, // revision
            b'h', 0xc3, 0xa9, // text
        ];
        assert_eq!(wrap(&Binding::message(message, sender, 7), "hé"), golden);
    }

    #[test]
    fn a_token_opens_only_where_it_belongs() {
        let (message, sender) = ids();
        let here = Binding::message(message, sender, 7);
        let other_message = Binding::message(sender.uuid().into(), sender, 7);
        let other_sender = Binding::message(message, message.uuid().into(), 7);
        let other_revision = Binding::message(message, sender, 8);
        let other_kind = Binding { kind: 2, ..here };
        for place in [other_message, other_sender, other_revision, other_kind] {
            assert_eq!(unwrap(&place, wrap(&here, "text")), Err(Mismatch::Moved));
        }
        assert_eq!(unwrap(&here, wrap(&here, "text")).as_deref(), Ok("text"));
        let mut later = wrap(&here, "text");
        later[0] = 2;
        assert_eq!(unwrap(&here, later), Err(Mismatch::Version));
        assert_eq!(unwrap(&here, b"short".to_vec()), Err(Mismatch::Version));
    }

    proptest! {
        #[test]
        fn every_text_comes_back_byte_for_byte(text in any::<String>(), revision in any::<i64>()) {
            let (message, sender) = ids();
            let place = Binding::message(message, sender, revision);
            let opened = unwrap(&place, wrap(&place, &text));
            prop_assert_eq!(opened.as_deref(), Ok(text.as_str()));
        }
    }
}
