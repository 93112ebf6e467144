use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
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
}

/// Characters of a first or last name, at most.
const NAME_LENGTH: usize = 150;

/// Whether a first or last name is one that every app can store and show.
pub fn is_name(text: &str) -> bool {
    text.chars().count() <= NAME_LENGTH && !text.chars().any(char::is_control)
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
        card.serialize_field("profile_picture", &None::<&str>)?;
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
    #[schema(required)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountRole {
    /// Writes and reads messages.
    User,
    /// Manages users and settings besides.
    Admin,
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
    /// When the account was made.
    pub created_at: Timestamp,
}
