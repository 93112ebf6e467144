use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ciphertext::KeyId;
use super::words;

/// How words are split, folded and hashed.
const VERSION: u8 = 1;
/// Bytes before the first term: the version, and the key.
const MARK: usize = 5;
/// Bytes of a term.
const TERM: usize = 8;

/// The text or the bytes are no terms in canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no search terms in canonical form")]
pub struct MalformedTerms;

/// What a text is found by: each of its words as the first 64 bits of its HMAC-SHA-256, with a key derived from the one
/// that sealed the text. They say which words two texts share, and how many different ones there are, and no more.
///
/// Packed: a version, the id of the key (4 bytes), and the terms, big-endian, strictly increasing, at most 4096 of
/// them. As text, that in base64url without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Terms(Box<[u8]>);

impl Terms {
    pub(super) fn new(key: KeyId, terms: impl Iterator<Item = u64>) -> Self {
        let mut terms: Vec<u64> = terms.collect();
        terms.sort_unstable();
        terms.dedup();
        let mut packed = Vec::with_capacity(MARK + terms.len() * TERM);
        packed.push(VERSION);
        packed.extend(key.bytes());
        packed.extend(terms.into_iter().flat_map(u64::to_be_bytes));
        Self(packed.into())
    }

    /// What the database or a peer holds, if it is in canonical form.
    pub fn unpack(packed: Vec<u8>) -> Result<Self, MalformedTerms> {
        let terms = packed.get(MARK..).ok_or(MalformedTerms)?;
        let whole = terms.len().is_multiple_of(TERM) && terms.len() <= words::IN_TEXT * TERM;
        let terms = Self(packed.into());
        let increasing = terms.iter().zip(terms.iter().skip(1)).all(|(one, next)| one < next);
        if whole && increasing { Ok(terms) } else { Err(MalformedTerms) }
    }

    /// What the database holds.
    pub fn packed(&self) -> &[u8] {
        &self.0
    }

    /// The terms.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let (terms, _) = self.0[MARK..].as_chunks::<TERM>();
        terms.iter().map(|term| u64::from_be_bytes(*term))
    }

    /// Whether the text has no word to be found by.
    pub fn is_empty(&self) -> bool {
        self.0.len() == MARK
    }
}

impl FromStr for Terms {
    type Err = MalformedTerms;

    fn from_str(text: &str) -> Result<Self, MalformedTerms> {
        Self::unpack(URL_SAFE_NO_PAD.decode(text).map_err(|_| MalformedTerms)?)
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terms({})", self.iter().count())
    }
}

impl Serialize for Terms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Terms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Request extension: what a search asks for, the words already as terms. For each key of the ring there is a set, as a
/// message may have been sealed with any; it is found if it has all the terms of one of them.
#[derive(Clone)]
pub struct SearchTerms(Vec<Vec<u64>>);

impl SearchTerms {
    pub(super) fn new(sets: Vec<Vec<u64>>) -> Self {
        Self(sets)
    }

    /// The sets, none of them empty.
    pub fn sets(&self) -> impl Iterator<Item = &[u64]> {
        self.0.iter().map(Vec::as_slice)
    }
}

impl fmt::Debug for SearchTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchTerms({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encryption::Keyring;

    /// The 32 bytes 0 to 31, and 32 to 63.
    const KEYS: [&str; 2] = [
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
    ];

    fn ring(list: &str) -> Keyring {
        Keyring::parse(list).unwrap()
    }

    #[test]
    fn the_terms_of_a_text_are_these_and_stay_these() {
        let terms = ring(KEYS[0]).terms("Café, 日本 🦀 – dinner at eight?");
        let hex: String =
            terms.packed().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!(
            hex,
            "01f840b0ee0b6ead6b3ab6d82642ab26114f856be94883bfa266aee06d4c79d483385c8d0d77949150421ce7eb7e338208f369feefdeb7e5ba8c1b16bd"
        );
        let text = serde_json::to_value(&terms).unwrap();
        assert_eq!(serde_json::from_value::<Terms>(text).unwrap(), terms);
    }

    #[test]
    fn every_key_of_the_ring_finds_what_it_has_made() {
        let (old, new) = (ring(KEYS[0]), ring(KEYS[1]));
        let both = ring(&format!("{},{}", KEYS[1], KEYS[0]));
        let words = ["dinner".to_owned(), "cafe".to_owned()];
        let found = |ring: &Keyring, terms: &Terms| {
            ring.search(&words).sets().any(|set| set.iter().all(|t| terms.iter().any(|u| u == *t)))
        };
        let (before, after) = (old.terms("Dinner at the café"), both.terms("Dinner at the café"));
        assert!(found(&both, &before) && found(&both, &after));
        assert!(found(&old, &before) && !found(&old, &after) && !found(&new, &before));
        assert_eq!(after, new.terms("CAFE the at dinner"), "the first key makes them");
        assert!(before.iter().all(|term| after.iter().all(|other| other != term)));
        assert!(after.packed().starts_with(&both.terms_mark()));
        assert!(!before.packed().starts_with(&both.terms_mark()));
    }

    #[test]
    fn what_a_peer_sends_is_canonical_or_nothing() {
        let pack = |terms: &[u64]| {
            let terms = terms.iter().flat_map(|term| term.to_be_bytes());
            [1, 0, 0, 0, 0].into_iter().chain(terms).collect::<Vec<u8>>()
        };
        assert!(Terms::unpack(pack(&[])).unwrap().is_empty());
        assert_eq!(Terms::unpack(pack(&[1, 2])).unwrap().iter().collect::<Vec<_>>(), [1, 2]);
        let many: Vec<u64> = (0..=words::IN_TEXT as u64).collect();
        for bad in [vec![], vec![1, 0, 0, 0], pack(&[2, 1]), pack(&[1, 1]), pack(&many)] {
            assert_eq!(Terms::unpack(bad), Err(MalformedTerms));
        }
        assert!(Terms::unpack(pack(&many[1..])).is_ok());
        let mut torn = pack(&[1]);
        torn.pop();
        assert!(Terms::unpack(torn).is_err());
        assert!("AQAAAAA=".parse::<Terms>().is_err() && "!".parse::<Terms>().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_terms_or_refused(bytes in any::<Vec<u8>>()) {
            if let Ok(terms) = Terms::unpack(bytes.clone()) {
                prop_assert_eq!(terms.packed(), bytes);
            }
        }
    }
}
