use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::body::SealedContent;
use super::ciphertext::{Ciphertext, KeyId};
use super::envelope::{self, Binding, Mismatch};
use super::terms::{SearchTerms, Terms};
use super::words;

/// Why a list of keys is not a keyring. The value of a key is never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is no key.
    #[error("it holds no key")]
    Empty,
    /// A key, counted from 1, is not 32 bytes in canonical base64url.
    #[error("key {0} is not 32 bytes in base64url with padding (44 characters)")]
    Malformed(usize),
    /// A key, counted from 1, stands in the list already.
    #[error("key {0} stands in the list already")]
    Duplicate(usize),
}

/// Why a token cannot be shown as the text of the place where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The key that sealed it is not in the ring.
    #[error("sealed with a key that this app does not hold")]
    UnknownKey,
    /// It was changed after it was sealed, or is no token.
    #[error("changed after it was sealed")]
    Tampered,
    /// It is genuine but was sealed for another message, sender or revision.
    #[error("sealed for another place")]
    Moved,
    /// It is genuine but its envelope has a version that this release does not know.
    #[error("sealed by a newer release")]
    Version,
}

impl Unreadable {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::UnknownKey, Self::Tampered, Self::Moved, Self::Version];

    /// The stable code that API clients and metrics see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::Tampered => "tampered",
            Self::Moved => "moved",
            Self::Version => "unsupported_version",
        }
    }
}

impl From<Mismatch> for Unreadable {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::Moved => Self::Moved,
            Mismatch::Version => Self::Version,
        }
    }
}

struct Key {
    id: KeyId,
    fernet: Fernet,
    fingerprint: Zeroizing<[u8; 32]>,
    /// Set up once: a text of two hundred characters has some thirty words.
    words: Hmac<Sha256>,
}

/// A ring of Fernet keys: the first seals, all open.
///
/// Only the layers of this module can seal and open with it; its holder can merely hand it to them.
pub struct Keyring {
    keys: Vec<Key>,
}

impl Keyring {
    /// Reads keys separated by commas; white space and line ends around a key are ignored.
    pub fn parse(list: &str) -> Result<Self, KeyringError> {
        let texts = list.split(',').map(str::trim);
        if list.trim().is_empty() {
            return Err(KeyringError::Empty);
        }
        let mut keys: Vec<Key> = Vec::new();
        for (text, number) in texts.zip(1..) {
            let bytes = Zeroizing::new(URL_SAFE.decode(text).unwrap_or_default());
            // The library accepts other spellings too; one key must have one spelling to be recognised twice.
            if bytes.len() != 32 {
                return Err(KeyringError::Malformed(number));
            }
            let fernet = Fernet::new(text).ok_or(KeyringError::Malformed(number))?;
            let id = key_id(&bytes);
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyringError::Duplicate(number));
            }
            let fingerprint = expand(&bytes, b"messaging request fingerprint v1")?;
            let words = expand(&bytes, b"messaging search terms v1")?;
            let words = Hmac::new_from_slice(words.as_ref()).map_err(|_| KeyringError::Empty)?;
            keys.push(Key { id, fernet, fingerprint, words });
        }
        Ok(Self { keys })
    }

    /// A fresh random key, in the form that [`Keyring::parse`] reads.
    pub fn generate_key() -> String {
        Fernet::generate_key()
    }

    /// The names of the keys, the sealing one first.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|key| key.id).collect()
    }

    /// Another ring, made from this one's keys, that opens nothing that this one seals and the reverse.
    pub(super) fn derive(list: &str, purpose: &[u8]) -> Result<Self, KeyringError> {
        let mut derived = Vec::new();
        let parents = Self::parse(list)?;
        for text in list.split(',').map(str::trim) {
            let key = Zeroizing::new(URL_SAFE.decode(text).unwrap_or_default());
            derived.push(URL_SAFE.encode(expand(&key, purpose)?.as_ref()));
        }
        let mut ring = Self::parse(&Zeroizing::new(derived.join(",")))?;
        // They bear the names of the keys that they come from: those are what an operator holds.
        for (key, parent) in ring.keys.iter_mut().zip(parents.keys) {
            key.id = parent.id;
        }
        Ok(ring)
    }

    /// What a request is recognised by when it is repeated: a keyed hash of it, with each key of the ring.
    pub(super) fn fingerprint(&self, parts: &[&[u8]]) -> Vec<(KeyId, [u8; 32])> {
        let print = |key: &Key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.fingerprint.as_ref()).ok()?;
            for part in parts {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
            Some((key.id, mac.finalize().into_bytes().into()))
        };
        self.keys.iter().filter_map(print).collect()
    }

    /// The search terms of a text, made with the key that seals.
    pub(super) fn terms(&self, text: &str) -> Terms {
        let key = &self.keys[0];
        let words = words::of_text(text);
        Terms::new(key.id, words.iter().map(|word| term(&key.words, word)))
    }

    /// The terms of the words of a search, with each key of the ring.
    pub(super) fn search(&self, words: &[String]) -> SearchTerms {
        let terms = |key: &Key| words.iter().map(|word| term(&key.words, word)).collect();
        SearchTerms::new(self.keys.iter().map(terms).collect())
    }

    /// The search terms of a stored message, made anew with the key that seals now. Nothing else of its text comes out.
    pub fn terms_of(&self, content: &SealedContent) -> Result<Terms, Unreadable> {
        let text = Zeroizing::new(self.open(&content.binding(), content.token())?);
        Ok(self.terms(&text))
    }

    /// What the packed form of [`Terms`] begins with if they are made as they would be made now.
    pub fn terms_mark(&self) -> Vec<u8> {
        Terms::new(self.keys[0].id, std::iter::empty()).packed().to_vec()
    }

    /// The token of a place, sealed anew with the key that seals now. It keeps the time that it carries.
    pub(super) fn reseal_at(
        &self,
        binding: &Binding,
        ciphertext: &Ciphertext,
    ) -> Result<Ciphertext, Unreadable> {
        let text = Zeroizing::new(self.open(binding, ciphertext)?);
        let time = seconds(ciphertext.token()).ok_or(Unreadable::Tampered)?;
        let plaintext = Zeroizing::new(envelope::wrap(binding, &text));
        let key = &self.keys[0];
        Ok(Ciphertext::sealed(key.id, key.fernet.encrypt_at_time(&plaintext, time)))
    }

    pub(super) fn seal(&self, binding: &Binding, text: &str) -> Ciphertext {
        let key = &self.keys[0];
        let plaintext = Zeroizing::new(envelope::wrap(binding, text));
        Ciphertext::sealed(key.id, key.fernet.encrypt(&plaintext))
    }

    /// The text of a token that stands where `binding` says.
    ///
    /// The age of the token does not matter, nor does a time in the future (the sealing app's clock may have been
    /// ahead): a stored message is read for as long as it is stored.
    pub(super) fn open(
        &self,
        binding: &Binding,
        ciphertext: &Ciphertext,
    ) -> Result<String, Unreadable> {
        let token = ciphertext.token();
        // The library refuses a token from the future, so it is told that it is now when the token was made.
        let now = token_time(token).ok_or(Unreadable::Tampered)?;
        let named = self.keys.iter().position(|key| key.id == ciphertext.key());
        let others = (0..self.keys.len()).filter(|&index| Some(index) != named);
        let plaintext = named
            .into_iter()
            .chain(others)
            .find_map(|index| self.keys[index].fernet.decrypt_at_time(token, None, now).ok());
        match (plaintext, named) {
            (Some(plaintext), _) => Ok(envelope::unwrap(binding, plaintext)?),
            (None, Some(_)) => Err(Unreadable::Tampered),
            (None, None) => Err(Unreadable::UnknownKey),
        }
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Keyring").field(&self.key_ids()).finish()
    }
}

/// A key for one purpose, by HKDF (RFC 5869).
fn expand(key: &[u8], purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyringError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    let expanded = hkdf::Hkdf::<Sha256>::new(None, key).expand(purpose, bytes.as_mut());
    expanded.map_err(|_| KeyringError::Empty)?;
    Ok(bytes)
}

/// A word as whoever lacks the key sees it: the first 64 bits of its HMAC.
fn term(key: &Hmac<Sha256>, word: &str) -> u64 {
    let hash = key.clone().chain_update(word).finalize().into_bytes();
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

fn key_id(key: &[u8]) -> KeyId {
    let hash = Sha256::new_with_prefix(b"messaging key id v1\0").chain_update(key).finalize();
    KeyId::new(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]))
}

/// The time that a token carries in the clear, in seconds.
fn seconds(token: &str) -> Option<u64> {
    let bytes = URL_SAFE.decode(token.get(..12)?).ok()?;
    bytes.get(1..9)?.try_into().ok().map(u64::from_be_bytes)
}

/// The same, lowered so far that a margin added to it cannot overflow.
fn token_time(token: &str) -> Option<u64> {
    Some(seconds(token)?.saturating_sub(60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{MessageId, UserId};
    use crate::time::Timestamp;

    fn place() -> Binding {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        Binding::message(MessageId::mint(now), UserId::mint(now), 0)
    }

    #[test]
    fn a_ring_seals_with_the_first_key_and_opens_with_all() {
        let (old, new) = (Keyring::generate_key(), Keyring::generate_key());
        let before = Keyring::parse(&old).unwrap();
        let after = Keyring::parse(&format!(" {new},\r\n{old}\n")).unwrap();
        let here = place();
        let token = before.seal(&here, "hello");
        assert_eq!(after.open(&here, &token).as_deref(), Ok("hello"));
        assert_eq!(after.seal(&here, "x").key(), after.key_ids()[0]);
        assert_eq!(before.open(&here, &after.seal(&here, "x")), Err(Unreadable::UnknownKey));
        // A wrong name on the right token costs a second attempt, not the message.
        let misnamed = Ciphertext::stored(after.key_ids()[0].number(), token.token().to_owned());
        assert_eq!(after.open(&here, &misnamed).as_deref(), Ok("hello"));
    }

    #[test]
    fn a_ring_refuses_bad_keys_by_number_and_never_shows_them() {
        let key = Keyring::generate_key();
        let short = URL_SAFE.encode([7u8; 16]);
        let unpadded = key.trim_end_matches('=');
        assert_eq!(Keyring::parse("").unwrap_err(), KeyringError::Empty);
        assert_eq!(Keyring::parse(" \n").unwrap_err(), KeyringError::Empty);
        assert_eq!(Keyring::parse(&format!("{key},")).unwrap_err(), KeyringError::Malformed(2));
        assert_eq!(Keyring::parse(&short).unwrap_err(), KeyringError::Malformed(1));
        assert_eq!(Keyring::parse(unpadded).unwrap_err(), KeyringError::Malformed(1));
        let twice = format!("{key},{key}");
        assert_eq!(Keyring::parse(&twice).unwrap_err(), KeyringError::Duplicate(2));
        assert!(!format!("{:?}", Keyring::parse(&key).unwrap()).contains(&key[..8]));
    }

    #[test]
    fn a_token_of_any_age_opens_and_a_far_future_one_too() {
        let text = Keyring::generate_key();
        let ring = Keyring::parse(&text).unwrap();
        let fernet = Fernet::new(&text).unwrap();
        let here = place();
        for time in [0, 1, 1_700_000_000, 40_000_000_000, u64::MAX] {
            let token = fernet.encrypt_at_time(&envelope::wrap(&here, "hi"), time);
            let token = Ciphertext::sealed(ring.key_ids()[0], token);
            assert_eq!(ring.open(&here, &token).as_deref(), Ok("hi"), "{time}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_tampering() {
        let ring = Keyring::parse(&Keyring::generate_key()).unwrap();
        let here = place();
        let token = ring.seal(&here, "hello");
        let bytes = URL_SAFE.decode(token.token()).unwrap();
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            let flipped = Ciphertext::sealed(token.key(), URL_SAFE.encode(flipped));
            assert_eq!(ring.open(&here, &flipped), Err(Unreadable::Tampered), "byte {index}");
        }
    }
}
