//! Sealing anew what is stored: with the key that seals now, in place, and without anything of a text coming out.

use serde_json::Value;

use super::body::SealedContent;
use super::ciphertext::Ciphertext;
use super::keyring::{Keyring, Unreadable};

impl Keyring {
    /// The token of a stored message, sealed anew for the same place with the key that seals now. It keeps the time that
    /// it carries, so that it still says when the text was written.
    pub fn reseal(&self, content: &SealedContent) -> Result<Ciphertext, Unreadable> {
        self.reseal_at(&content.binding(), content.token())
    }

    /// A stored answer with every content in it sealed anew, everything else as it stands; `None` if nothing in it is
    /// sealed with another key than the one that seals now. A content that does not open stays as it is.
    pub fn reseal_answer(&self, answer: &str) -> Option<String> {
        let sealing = self.key_ids()[0];
        let mut contents = Vec::new();
        find(serde_json::from_str(answer).ok()?, &mut contents);
        let mut renewed = None;
        for content in contents.iter().filter(|content| content.token().key() != sealing) {
            let Ok(token) = self.reseal(content) else { continue };
            let text = renewed.unwrap_or_else(|| answer.to_owned());
            // A token stands in a JSON string as it is, and nowhere else.
            renewed = Some(text.replace(&content.token().to_string(), &token.to_string()));
        }
        renewed
    }
}

fn find(value: Value, contents: &mut Vec<SealedContent>) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| find(item, contents)),
        Value::Object(fields) if fields.contains_key("$sealed") => {
            contents.extend(serde_json::from_value::<SealedContent>(Value::Object(fields)).ok());
        }
        Value::Object(fields) => fields.into_iter().for_each(|(_, field)| find(field, contents)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::envelope::Binding;
    use crate::encryption::{Field, FieldCipher};
    use crate::id::{MessageId, UserId};
    use crate::time::Timestamp;

    fn ids() -> (MessageId, UserId) {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        (MessageId::mint(now), UserId::mint(now))
    }

    fn rings() -> (Keyring, Keyring, Keyring) {
        let (old, new) = (Keyring::generate_key(), Keyring::generate_key());
        let both = format!("{new},{old}");
        let ring = |list: &str| Keyring::parse(list).unwrap();
        (ring(&old), ring(&both), ring(&new))
    }

    #[test]
    fn a_token_sealed_anew_opens_with_the_new_key_alone_and_keeps_its_time() {
        let (old, both, new) = rings();
        let (message, sender) = ids();
        let place = Binding::message(message, sender, 7);
        let token = old.seal(&place, "hé");
        let content = SealedContent::new(message, sender, 7, token.clone());
        let renewed = both.reseal(&content).unwrap();
        assert_eq!(renewed.key(), new.key_ids()[0]);
        assert_eq!(new.open(&place, &renewed).as_deref(), Ok("hé"));
        assert!(old.open(&place, &renewed).is_err());
        // Version and time are the first 9 bytes, and so the first 12 characters.
        assert_eq!(renewed.token()[..12], token.token()[..12]);
    }

    #[test]
    fn a_token_that_stands_elsewhere_is_not_sealed_for_the_place() {
        let (old, both, new) = rings();
        let (message, sender) = ids();
        let token = old.seal(&Binding::message(message, sender, 0), "text");
        let moved = SealedContent::new(message, sender, 1, token.clone());
        assert_eq!(both.reseal(&moved), Err(Unreadable::Moved));
        let here = SealedContent::new(message, sender, 0, token);
        assert_eq!(new.reseal(&here), Err(Unreadable::UnknownKey));
    }

    #[test]
    fn an_answer_keeps_everything_but_its_tokens() {
        let (old, both, new) = rings();
        let (message, sender) = ids();
        let place = Binding::message(message, sender, 0);
        let sealed = |ring: &Keyring| {
            let content = SealedContent::new(message, sender, 0, ring.seal(&place, "text"));
            format!(
                r#"{{"z": 1, "content":{}, "a":[null]}}"#,
                serde_json::to_string(&content).unwrap()
            )
        };
        let before = sealed(&old);
        let after = both.reseal_answer(&before).unwrap();
        assert!(after.starts_with(r#"{"z": 1, "content":{"$sealed":""#), "{after}");
        let mut contents = Vec::new();
        find(serde_json::from_str(&after).unwrap(), &mut contents);
        assert_eq!(new.open(&place, contents[0].token()).as_deref(), Ok("text"));
        assert_eq!(both.reseal_answer(&after), None, "there is nothing left to do");
        assert_eq!(new.reseal_answer(&before), None, "what does not open stays as it is");
        assert_eq!(both.reseal_answer("no JSON"), None);
    }

    #[test]
    fn a_field_is_sealed_anew_for_its_owner_and_bears_the_name_of_the_operators_key() {
        let (one, other) = (Keyring::generate_key(), Keyring::generate_key());
        let before = FieldCipher::parse(&one).unwrap();
        let both = FieldCipher::parse(&format!("{other},{one}")).unwrap();
        let after = FieldCipher::parse(&other).unwrap();
        let owner = uuid::Uuid::from_u128(7);
        let sealed = before.seal(Field::Email, owner, "a@example.org");
        assert_eq!(sealed.key(), Keyring::parse(&one).unwrap().key_ids()[0]);
        let renewed = both.reseal(Field::Email, owner, &sealed).unwrap();
        assert_eq!(renewed.key(), Keyring::parse(&other).unwrap().key_ids()[0]);
        assert_eq!(after.open(Field::Email, owner, &renewed).as_deref(), Ok("a@example.org"));
        assert_eq!(both.reseal(Field::PhoneNumber, owner, &sealed), Err(Unreadable::Moved));
    }
}
