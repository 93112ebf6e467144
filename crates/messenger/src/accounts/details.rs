#![expect(
    clippy::option_option,
    reason = "nothing said, none, and a value are three things in a PATCH (RFC 7396)"
)]

use jiff::civil::{Date, date};
use shared::encryption::{Ciphertext, Field, FieldCipher};
use shared::id::UserId;
use shared::problem::Problem;
use shared::time::Timestamp;

/// What a user may tell of themselves that nobody else sees, an admin of their app excepted; sealed at rest.
#[derive(Clone, Debug, Default)]
pub struct Details<T> {
    /// Date of birth.
    pub dob: T,
    /// Telephone number.
    pub phone_number: T,
    /// Whom to call when something happens.
    pub emergency_contact: T,
}

/// What a request says of them: nothing, that there is none, or what it is.
pub type Given = Details<Option<Option<String>>>;

/// Characters of an emergency contact, at most.
const CONTACT_LENGTH: usize = 200;
/// The earliest date of birth.
const EARLIEST: Date = date(1900, 1, 1);

impl Given {
    /// The details in the form in which they are kept, and the problem with what is wrong about them added. A blank
    /// text is none.
    pub fn check(self, mut problem: Problem, now: Timestamp) -> (Self, Problem) {
        let mut one = |name: &'static str, value: Option<Option<String>>, check: Check| {
            let checked = value.map(|text| {
                let text = text.filter(|text| !text.trim().is_empty());
                text.map(|text| check(text.trim(), now)).transpose()
            });
            checked.transpose().unwrap_or_else(|why| {
                problem = problem.clone().field(name, why);
                None
            })
        };
        let checked = Self {
            dob: one("dob", self.dob, dob),
            phone_number: one("phone_number", self.phone_number, phone_number),
            emergency_contact: one("emergency_contact", self.emergency_contact, contact),
        };
        (checked, problem)
    }

    /// The details sealed for their owner.
    pub fn seal(&self, fields: &FieldCipher, owner: UserId) -> Details<Option<Option<Ciphertext>>> {
        let seal = |field, value: &Option<Option<String>>| {
            let sealed = |text: &String| fields.seal(field, owner.uuid(), text);
            value.as_ref().map(|text| text.as_ref().map(sealed))
        };
        Details {
            dob: seal(Field::DateOfBirth, &self.dob),
            phone_number: seal(Field::PhoneNumber, &self.phone_number),
            emergency_contact: seal(Field::EmergencyContact, &self.emergency_contact),
        }
    }
}

impl Details<Option<Ciphertext>> {
    /// These, with what is given in the place of what was.
    #[must_use]
    pub fn with(self, given: Details<Option<Option<Ciphertext>>>) -> Self {
        Self {
            dob: given.dob.unwrap_or(self.dob),
            phone_number: given.phone_number.unwrap_or(self.phone_number),
            emergency_contact: given.emergency_contact.unwrap_or(self.emergency_contact),
        }
    }

    /// The details for their owner to see.
    pub fn open(
        &self,
        fields: &FieldCipher,
        owner: UserId,
    ) -> Result<Details<Option<String>>, Problem> {
        let open = |field, sealed: &Option<Ciphertext>| {
            let open = |sealed| super::open(fields, field, owner, sealed);
            sealed.as_ref().map(open).transpose()
        };
        Ok(Details {
            dob: open(Field::DateOfBirth, &self.dob)?,
            phone_number: open(Field::PhoneNumber, &self.phone_number)?,
            emergency_contact: open(Field::EmergencyContact, &self.emergency_contact)?,
        })
    }
}

type Check = fn(&str, Timestamp) -> Result<String, &'static str>;

fn dob(text: &str, now: Timestamp) -> Result<String, &'static str> {
    const WHY: &str = "This should be a date in the past like 2001-12-31, from 1900 on.";
    // Ten characters: the parser would take other forms of ISO 8601 too.
    let date: Date = text.parse().ok().filter(|_| text.len() == 10).ok_or(WHY)?;
    let today = now.to_string();
    let past = today.get(..10).is_some_and(|today| date.to_string().as_str() < today);
    if date >= EARLIEST && past { Ok(date.to_string()) } else { Err(WHY) }
}

/// E.164, with what people write between the digits taken out.
fn phone_number(text: &str, _: Timestamp) -> Result<String, &'static str> {
    const WHY: &str = "This should be a telephone number of 5 to 15 digits, perhaps with + before.";
    let between = [' ', '-', '.', '/', '(', ')'];
    let plain: String = text.chars().filter(|c| !between.contains(c)).collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    let sound = (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if sound { Ok(plain) } else { Err(WHY) }
}

fn contact(text: &str, _: Timestamp) -> Result<String, &'static str> {
    let sound = text.chars().count() <= CONTACT_LENGTH && !text.chars().any(char::is_control);
    let why = "An emergency contact has at most 200 characters and no control characters.";
    if sound { Ok(text.to_owned()) } else { Err(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_birth_are_past_and_real() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        for good in ["1900-01-01", "2000-02-29", "2026-02-28"] {
            assert_eq!(dob(good, now).as_deref(), Ok(good));
        }
        for bad in [
            "1899-12-31",
            "2001-02-29",
            "2026-03-01",
            "2026-03-02",
            "20000229",
            "2000-2-29",
            "x",
            "2000-02-29T00:00",
            "+02000-02-29",
        ] {
            assert!(dob(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn telephone_numbers_are_kept_as_digits() {
        let now = Timestamp::from_micros(0);
        for (text, kept) in [
            ("+49 (30) 1234-567", "+49301234567"),
            ("030/123 45 67", "0301234567"),
            ("11000", "11000"),
        ] {
            assert_eq!(phone_number(text, now).as_deref(), Ok(kept));
        }
        for bad in
            ["1234", "+", "1234567890123456", "++4930123456", "49+30123456", "٠٣٠١٢٣٤٥", "0x123456"]
        {
            assert!(phone_number(bad, now).is_err(), "{bad}");
        }
    }
}
