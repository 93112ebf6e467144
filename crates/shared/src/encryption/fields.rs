use super::ciphertext::Ciphertext;
use super::envelope::Binding;
use super::keyring::{Keyring, KeyringError, Unreadable};
use uuid::Uuid;

/// A private field of an account or of the app itself, sealed at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A user's e-mail address.
    Email,
    /// The key of the app's blind indexes.
    IndexKey,
    /// A user's date of birth.
    DateOfBirth,
    /// A user's telephone number.
    PhoneNumber,
    /// Whom to call when something happens to a user.
    EmergencyContact,
}

/// Seals fields of the database with keys derived from the ring by HKDF (RFC 5869).
///
/// Handlers may hold it: as its keys are other keys, it cannot open a message.
pub struct FieldCipher {
    ring: Keyring,
}

impl FieldCipher {
    /// The field ring of the keys that [`Keyring::parse`] reads.
    pub fn parse(list: &str) -> Result<Self, KeyringError> {
        Ok(Self { ring: Keyring::derive(list, b"messaging fields v1")? })
    }

    /// Seals a field of `owner`.
    pub fn seal(&self, field: Field, owner: Uuid, text: &str) -> Ciphertext {
        self.ring.seal(&binding(field, owner), text)
    }

    /// Opens a field of `owner`.
    pub fn open(
        &self,
        field: Field,
        owner: Uuid,
        sealed: &Ciphertext,
    ) -> Result<String, Unreadable> {
        self.ring.open(&binding(field, owner), sealed)
    }
}

impl FieldCipher {
    /// A field of `owner`, sealed anew with the key that seals now. It keeps the time that its token carries.
    pub fn reseal(
        &self,
        field: Field,
        owner: Uuid,
        sealed: &Ciphertext,
    ) -> Result<Ciphertext, Unreadable> {
        self.ring.reseal_at(&binding(field, owner), sealed)
    }
}

fn binding(field: Field, owner: Uuid) -> Binding {
    let kind = match field {
        Field::Email => 2,
        Field::IndexKey => 3,
        Field::DateOfBirth => 4,
        Field::PhoneNumber => 5,
        Field::EmergencyContact => 6,
    };
    Binding { kind, subject: owner, sender: Uuid::nil(), revision: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_opens_for_its_owner_and_neither_ring_opens_the_other() {
        let keys = Keyring::generate_key();
        let (messages, fields) =
            (Keyring::parse(&keys).unwrap(), FieldCipher::parse(&keys).unwrap());
        let (owner, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sealed = fields.seal(Field::Email, owner, "a@example.org");
        assert_eq!(fields.open(Field::Email, owner, &sealed).as_deref(), Ok("a@example.org"));
        assert_eq!(fields.open(Field::Email, other, &sealed), Err(Unreadable::Moved));
        assert_eq!(fields.open(Field::IndexKey, owner, &sealed), Err(Unreadable::Moved));
        assert!(messages.open(&binding(Field::Email, owner), &sealed).is_err());
        let place = binding(Field::Email, owner);
        assert!(fields.open(Field::Email, owner, &messages.seal(&place, "x")).is_err());
    }
}
