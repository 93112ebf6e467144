//! How people and apps are named: `alice`, `app-a`, `alice@app-a`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unicode_normalization::UnicodeNormalization;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `[a-z0-9][a-z0-9-]{0,62}`.
    #[error("An app name has 1 to 63 characters: a-z, 0-9 and -, the first not a -.")]
    App,
    /// Not `[A-Za-z0-9_.+-]{3,150}`, or it begins or ends with a dot.
    #[error(
        "A username has 3 to 150 characters: letters, digits and _ . + -, and no dot at either end."
    )]
    Username,
    /// Not `username@app-name`.
    #[error("An address is username@app-name.")]
    Address,
}

/// The name of an app, `[a-z0-9][a-z0-9-]{0,62}`; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(Arc<str>);

impl AppName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let valid = (1..=63).contains(&bytes.len())
            && plain(bytes[0])
            && bytes.iter().all(|&b| plain(b) || b == b'-');
        if valid { Ok(Self(text.into())) } else { Err(NameError::App) }
    }
}

/// A username, `[A-Za-z0-9_.+-]{3,150}` after NFKC; shown as it was written, unique without regard to case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Username(Arc<str>);

impl Username {
    /// The name as its owner writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without regard to case: what must be unique in an app.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Username {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > 4 * 150 {
            return Err(NameError::Username);
        }
        let name: String = text.nfkc().collect();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'+' | b'-');
        let valid = (3..=150).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with('.')
            && !name.ends_with('.');
        if valid { Ok(Self(name.into())) } else { Err(NameError::Username) }
    }
}

/// One person on one app, `username@app-name`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The name in its app.
    pub username: Username,
    /// The app that holds the account.
    pub app: AppName,
}

impl Address {
    fn text(&self) -> String {
        [self.username.as_str(), "@", self.app.as_str()].concat()
    }

    /// The address without regard to case: equal for two spellings of one person.
    pub fn key(&self) -> String {
        format!("{}@{}", self.username.key(), self.app)
    }
}

impl FromStr for Address {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (username, app) = text.split_once('@').ok_or(NameError::Address)?;
        Ok(Self { username: username.parse()?, app: app.parse()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

macro_rules! text {
    ($($name:ident: $text:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // A page has a hundred of them, and the way through a formatter takes most of their time.
                serializer.serialize_str(self.$text().as_ref())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

text!(AppName: as_str, Username: as_str, Address: text);

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_lower_case_host_labels() {
        for good in ["app-a", "0", "a--b", &"x".repeat(63)] {
            assert!(good.parse::<AppName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "App", "a_b", "a.b", "é", &"x".repeat(64)] {
            assert_eq!(bad.parse::<AppName>(), Err(NameError::App), "{bad}");
        }
    }

    #[test]
    fn usernames_are_normalised_and_compared_without_case() {
        let wide: Username = "ａｌｉｃｅ".parse().unwrap();
        assert_eq!(wide.as_str(), "alice");
        assert_eq!("ALICE".parse::<Username>().unwrap().key(), wide.key());
        for bad in
            ["ab", "a b", "a/b", "a@b", "a:bc", "alice.", ".alice", "al\u{0}ice", "", "日本語"]
        {
            assert_eq!(bad.parse::<Username>(), Err(NameError::Username), "{bad}");
        }
        assert!("x".repeat(150).parse::<Username>().is_ok());
        assert!("x".repeat(151).parse::<Username>().is_err());
    }

    #[test]
    fn addresses_have_exactly_one_at_sign() {
        assert_eq!("Bob@app-b".parse::<Address>().unwrap().key(), "bob@app-b");
        for bad in ["bob", "@app-b", "bob@", "bob@app-b@x", "bob@APP"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
