use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::address::{Address, AppName, Username};
use crate::id::UserId;
use crate::time::Timestamp;

/// A user as everybody may see them; `address` is derived from `username` and `app`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UserCard {
    /// The same on every app.
    pub id: UserId,
    /// Unique in its app.
    pub username: Username,
    /// The app that holds the account.
    pub app: AppName,
    /// May be empty.
    #[serde(default, deserialize_with = "name")]
    pub first_name: Arc<str>,
    /// May be empty.
    #[serde(default, deserialize_with = "name")]
    pub last_name: Arc<str>,
    /// Their picture, if they have one; it is shown as a path on the app that is asked, whatever app says so.
    #[serde(default, rename = "profile_picture", deserialize_with = "picture")]
    pub picture: Option<PictureVersion>,
}

/// Which picture of a user: 16 hexadecimal digits of the hash of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PictureVersion(Arc<str>);

/// The text is not 16 hexadecimal digits in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the version of a picture")]
pub struct NoVersion;

impl PictureVersion {
    /// The version of a picture with these bytes.
    pub fn of(image: &[u8]) -> Self {
        let hash = Sha256::digest(image);
        let start = hash.iter().take(8).fold(0, |start, byte| (start << 8) | u64::from(*byte));
        Self(format!("{start:016x}").into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PictureVersion {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let sound = text.len() == 16 && text.bytes().all(digit);
        if sound { Ok(Self(text.into())) } else { Err(NoVersion) }
    }
}

impl fmt::Display for PictureVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of a path or URL only the version counts: nobody is sent, or asks, where another app says.
fn picture<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PictureVersion>, D::Error> {
    let url = Option::<String>::deserialize(deserializer)?;
    Ok(url.and_then(|url| url.rsplit_once("?v=")?.1.parse().ok()))
}

/// Characters of a first or last name, at most.
const NAME_LENGTH: usize = 150;

/// Whether a first or last name is one that every app can store and show.
pub fn is_name(text: &str) -> bool {
    text.chars().count() <= NAME_LENGTH && !text.chars().any(char::is_control)
}

/// A text as it is compared in searches: compatible characters (NFKC) and letters of both cases are one.
pub fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    let text = Arc::<str>::deserialize(deserializer)?;
    if is_name(&text) { Ok(text) } else { Err(de::Error::custom("not a name")) }
}

impl UserCard {
    /// `username@app`.
    pub fn address(&self) -> Address {
        Address { username: self.username.clone(), app: self.app.clone() }
    }

    /// Where this app serves their picture.
    pub fn profile_picture(&self) -> Option<String> {
        let version = self.picture.as_ref()?;
        Some(format!("/api/users/{}/picture/?v={version}", self.id))
    }
}

impl Serialize for UserCard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut card = serializer.serialize_struct("UserCard", 7)?;
        card.serialize_field("id", &self.id)?;
        card.serialize_field("username", &self.username)?;
        card.serialize_field("app", &self.app)?;
        card.serialize_field("address", &self.address())?;
        card.serialize_field("first_name", &self.first_name)?;
        card.serialize_field("last_name", &self.last_name)?;
        card.serialize_field("profile_picture", &self.profile_picture())?;
        card.end()
    }
}

/// The fields of a [`UserCard`] as they are written, for the description of the API.
#[derive(ToSchema)]
#[schema(as = UserCard)]
#[expect(dead_code, reason = "it describes, and is never made")]
struct Shown {
    /// The same on every app.
    id: UserId,
    username: Username,
    app: AppName,
    address: Address,
    /// May be empty.
    #[schema(max_length = 150, examples("Bob"))]
    first_name: String,
    /// May be empty.
    #[schema(max_length = 150, examples("Baker"))]
    last_name: String,
    /// Where their picture is, if they have one.
    #[schema(
        required,
        examples("/api/users/0198c5a1-7d3e-7c11-8a55-2f6f9f6f0b11/picture/?v=9f86d081884c7d65")
    )]
    profile_picture: Option<String>,
}

impl PartialSchema for UserCard {
    fn schema() -> RefOr<Schema> {
        Shown::schema()
    }
}

impl ToSchema for UserCard {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Shown::schemas(schemas);
    }
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountRole {
    /// Writes and reads messages.
    User,
    /// Manages users and settings besides.
    Admin,
}

impl AccountRole {
    /// The number that the database holds.
    pub const fn number(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for AccountRole {
    type Error = i16;

    fn try_from(number: i16) -> Result<Self, i16> {
        [Self::User, Self::Admin].into_iter().find(|role| role.number() == number).ok_or(number)
    }
}

/// The text is not the name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a role")]
pub struct NoRole;

impl FromStr for AccountRole {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        match text {
            "user" => Ok(Self::User),
            "admin" => Ok(Self::Admin),
            _ => Err(NoRole),
        }
    }
}

/// A user as they see themselves.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Profile {
    /// What everybody sees.
    #[serde(flatten)]
    pub card: UserCard,
    /// Normalised to lower case.
    #[schema(format = Email, examples("alice@example.org"))]
    pub email: String,
    /// What the account may do.
    pub role: AccountRole,
    /// An inactive account cannot log in.
    pub is_active: bool,
    /// Whether others are told what the user has read.
    pub read_receipts: bool,
    /// Date of birth.
    #[schema(required, format = Date, examples("2001-12-31"))]
    pub dob: Option<String>,
    /// Digits, perhaps with a + before them (E.164).
    #[schema(required, examples("+49301234567"))]
    pub phone_number: Option<String>,
    /// Whom to call when something happens.
    #[schema(required, max_length = 200, examples("Carol, 030 1234567"))]
    pub emergency_contact: Option<String>,
    /// The admin who made the account; `null` if its owner did.
    #[schema(required)]
    pub added_by: Option<AddedBy>,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// The admin who made an account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AddedBy {
    /// Who.
    pub id: UserId,
    /// Their name in this app.
    pub username: Username,
    /// May be empty.
    #[schema(value_type = String)]
    pub first_name: Arc<str>,
    /// May be empty.
    #[schema(value_type = String)]
    pub last_name: Arc<str>,
    /// What they may do now.
    pub role: AccountRole,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_both_cases_and_both_widths_are_one_in_searches() {
        for (one, other) in [
            ("ÅSA", "åsa"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΟΣ", "οδοσ"),
            ("ａｌｉｃｅ", "Alice"),
            ("ЖЕНЯ", "женя"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
        assert_ne!(fold("a"), fold("b"));
    }

    #[test]
    fn of_what_a_peer_says_of_a_picture_only_the_version_counts() {
        let card = |picture: &str| {
            let id = "0190a5d0-ac96-774b-8cce-b302099a8057";
            let json = format!(
                r#"{{"id":"{id}","username":"bob","app":"app-b","profile_picture":{picture}}}"#
            );
            serde_json::from_str::<UserCard>(&json).unwrap().profile_picture()
        };
        let own = "/api/users/0190a5d0-ac96-774b-8cce-b302099a8057/picture/?v=0123456789abcdef";
        for url in [own, "http://169.254.169.254/?v=0123456789abcdef"] {
            assert_eq!(card(&format!("\"{url}\"")).as_deref(), Some(own));
        }
        for url in ["null", "\"\"", "\"http://127.0.0.1/\"", "\"/?v=../../x\"", "\"/?v=0123\""] {
            assert_eq!(card(url), None, "{url}");
        }
    }
}
