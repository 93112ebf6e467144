use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The public name of a key: the first 32 bits of a hash of it, eight hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u32);

impl KeyId {
    pub(super) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(super) const fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// The name that a number of the database stands for; that of no key, if it stands for none.
    pub fn stored(number: i64) -> Self {
        Self(u32::try_from(number).unwrap_or(0))
    }

    /// The number that the database holds.
    pub const fn number(self) -> i64 {
        self.0 as i64
    }
}

/// The text is not the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a key: eight hexadecimal digits in lower case")]
pub struct MalformedKeyId;

impl FromStr for KeyId {
    type Err = MalformedKeyId;

    fn from_str(text: &str) -> Result<Self, MalformedKeyId> {
        let plain = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !plain {
            return Err(MalformedKeyId);
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|_| MalformedKeyId)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The text is not a token in canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Fernet token in canonical form")]
pub struct MalformedToken;

/// A Fernet token and the name of the key that sealed it. It can be stored, sent and compared, but not opened.
///
/// As text it is `key-id:token`. The token is canonical, padded base64url (RFC 4648 §5) of
/// `0x80 ‖ time ‖ IV ‖ ciphertext ‖ HMAC` ([Fernet](https://github.com/fernet/spec/blob/master/Spec.md)).
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext {
    key: KeyId,
    token: Box<str>,
}

/// Version, time, IV, one block and HMAC: the bytes of the shortest token.
const SHORTEST: usize = 1 + 8 + 16 + 16 + 32;

impl Ciphertext {
    /// What the keyring has just sealed; canonical by construction.
    pub(super) fn sealed(key: KeyId, token: String) -> Self {
        Self { key, token: token.into() }
    }

    /// A stored token; `number` is that of [`KeyId::number`]. Whatever the row holds, it is for opening to find out: a
    /// wrong name of the key costs a second attempt, and a broken token its own message.
    pub fn stored(number: i64, token: String) -> Self {
        Self { key: KeyId::stored(number), token: token.into() }
    }

    /// The key that sealed it, by its own word; opening finds out whether that is true.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// The token, as any Fernet library reads it.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Whether `token` has the form of a Fernet token and is the only way to write its bytes.
fn is_canonical(token: &str) -> bool {
    // The engine refuses missing padding and stray trailing bits, so a token that decodes has one spelling.
    let Ok(bytes) = URL_SAFE.decode(token) else { return false };
    bytes.len() >= SHORTEST && bytes[0] == 0x80 && (bytes.len() - SHORTEST).is_multiple_of(16)
}

impl FromStr for Ciphertext {
    type Err = MalformedToken;

    fn from_str(text: &str) -> Result<Self, MalformedToken> {
        let (key, token) = text.split_once(':').ok_or(MalformedToken)?;
        let key = key.parse().map_err(|_| MalformedToken)?;
        if !is_canonical(token) {
            return Err(MalformedToken);
        }
        Ok(Self { key, token: token.into() })
    }
}

impl fmt::Display for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.token)
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphertext({}, {} bytes)", self.key, self.token.len())
    }
}

impl Serialize for Ciphertext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // In one piece, as a serializer takes a token in pieces through a formatter in several times the time.
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Ciphertext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText)
    }
}

/// Takes a token over from where it stands.
struct FromText;

impl Visitor<'_> for FromText {
    type Value = Ciphertext;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Ciphertext, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let bytes = {
            let mut bytes = vec![0u8; SHORTEST];
            bytes[0] = 0x80;
            bytes
        };
        let token = URL_SAFE.encode(&bytes);
        assert!(format!("00c0ffee:{token}").parse::<Ciphertext>().is_ok());
        let unpadded = token.trim_end_matches('=');
        let mut stray = unpadded.to_owned();
        stray.pop();
        let stray = format!("{stray}B==");
        let upper = format!("00C0FFEE:{token}");
        for bad in [
            format!("00c0ffee:{unpadded}"),
            format!("00c0ffee:{stray}"),
            format!("00c0ffee:{token}\n"),
            format!("00c0ffee:{}", URL_SAFE.encode(&bytes[..SHORTEST - 1])),
            format!("00c0ffee:{}", URL_SAFE.encode([&[0x81], &bytes[1..]].concat())),
            upper,
            token.clone(),
            String::new(),
        ] {
            assert_eq!(bad.parse::<Ciphertext>(), Err(MalformedToken), "{bad}");
        }
    }
}
