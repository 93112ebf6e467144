//! Tokens as the documents describe them, made without the layers: the header of 42 bytes and the text, in Fernet.

use shared::encryption::Keyring;
use uuid::Uuid;

/// What stands in the database and, with the id of the key before it, on the wire.
pub struct Token {
    /// The number that the database holds for the key.
    pub key: i64,
    /// The Fernet token.
    pub token: String,
}

impl Token {
    /// A text sealed with the first of the keys for one revision of one message of one sender.
    pub fn seal(keys: &str, message: &str, sender: &str, revision: i64, text: &str) -> Self {
        let key = keys.split(',').next().expect("a key").trim();
        let id = |text: &str| Uuid::parse_str(text).expect("an id").into_bytes();
        let mut plaintext = vec![1, 1];
        plaintext.extend(id(message));
        plaintext.extend(id(sender));
        plaintext.extend(revision.to_be_bytes());
        plaintext.extend(text.as_bytes());
        let ring = Keyring::parse(key).expect("a sound key");
        let token = fernet::Fernet::new(key).expect("a sound key").encrypt(&plaintext);
        Self { key: ring.key_ids()[0].number(), token }
    }

    /// As the apps send it to each other.
    pub fn wire(&self) -> String {
        format!("{:08x}:{}", self.key, self.token)
    }
}
