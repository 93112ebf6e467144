use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::config::Secret;

/// Bytes of the signature: 128 bits, as nothing but a place in a list is at stake.
const SIGNATURE: usize = 16;
/// Characters of a cursor, at most.
const LONGEST: usize = 1024;

/// Signs the cursors of lists, each for one list alone.
///
/// The key follows from the app's `JWT_SECRET`, so all replicas take each other's cursors, and a restart changes nothing.
#[derive(Clone)]
pub struct Cursors(Hmac<Sha256>);

impl Cursors {
    /// From the app's secret.
    pub fn new(secret: &Secret) -> Self {
        let derived = Sha256::new_with_prefix(b"messaging list cursors v1\0")
            .chain_update(secret.expose())
            .finalize();
        let mut key = Key::<Hmac<Sha256>>::default();
        key[..derived.len()].copy_from_slice(&derived);
        Self(<Hmac<Sha256> as KeyInit>::new(&key))
    }

    /// A cursor for `list` that carries `place`.
    pub(super) fn sign(&self, list: &str, place: &[u8]) -> String {
        let mut bytes = self.mac(list, place).finalize().into_bytes()[..SIGNATURE].to_vec();
        bytes.extend_from_slice(place);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a cursor for `list` carries; `None` if this app has not signed it for this list.
    pub(super) fn open(&self, list: &str, cursor: &str) -> Option<Vec<u8>> {
        let bytes = (cursor.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(cursor).ok())??;
        let (signature, place) = bytes.split_at_checked(SIGNATURE)?;
        self.mac(list, place).verify_truncated_left(signature).ok()?;
        Some(place.to_vec())
    }

    fn mac(&self, list: &str, place: &[u8]) -> Hmac<Sha256> {
        // The hash has a fixed length, so that list and place cannot run into each other.
        self.0.clone().chain_update(Sha256::digest(list)).chain_update(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_for_its_list_and_its_app_alone() {
        let own = Cursors::new(&Secret::new("a".repeat(32)));
        let same = Cursors::new(&Secret::new("a".repeat(32)));
        let other = Cursors::new(&Secret::new("b".repeat(32)));
        let cursor = own.sign("list", b"place");
        assert_eq!(same.open("list", &cursor).as_deref(), Some(b"place".as_slice()));
        assert!(own.open("another", &cursor).is_none());
        assert!(other.open("list", &cursor).is_none());
        for index in 0..cursor.len() {
            let mut tampered = cursor.clone().into_bytes();
            tampered[index] = if tampered[index] == b'A' { b'B' } else { b'A' };
            assert!(own.open("list", &String::from_utf8(tampered).unwrap()).is_none());
        }
        for bad in ["", "A", "é", &"A".repeat(2000)] {
            assert!(own.open("list", bad).is_none());
        }
    }
}
