use serde_json::Value;

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from one bound to the other.
    Number(i64, i64),
    /// On or off; kept as 1 or 0.
    Switch,
}

/// One setting: all that there is to know of it, but for its value.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its name in the API and in the environment.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its value unless the environment or an admin says otherwise.
    pub default: i64,
    /// One sentence or two.
    pub about: &'static str,
}

use Kind::{Number, Switch};

/// The greatest rate limit: what no one process could serve anyway.
const HIGHEST: i64 = 1_000_000;
/// 0 is no limit.
const LIMIT: Kind = Number(0, HIGHEST);
const YEAR: i64 = 365 * 24 * 3600;

/// The names in code and the definitions, so that neither is without the other.
macro_rules! settings {
    ($($setting:ident = $name:literal, $kind:expr, $default:expr, $about:literal;)*) => {
        /// A setting by its name in code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Setting {
            $(#[doc = $about] $setting,)*
        }

        impl Setting {
            /// All of them, in the order of [`TABLE`].
            pub const ALL: &[Self] = &[$(Self::$setting),*];
        }

        /// Everything that can be set.
        pub const TABLE: [Definition; Setting::ALL.len()] = [$(
            Definition { name: $name, kind: $kind, default: $default, about: $about }
        ),*];
    };
}

settings! {
    AccessTokenLifetime = "ACCESS_TOKEN_LIFETIME", Number(1, LONGEST_ACCESS), 3600,
        "Seconds that an access token lives. Those issued before keep their time.";
    RefreshTokenLifetime = "REFRESH_TOKEN_LIFETIME", Number(1, YEAR), 30 * 24 * 3600,
        "Seconds that a session lives without being refreshed, from its next refresh on.";
    PageSize = "PAGE_SIZE", Number(1, 100), 20,
        "Results on a page that does not say how many it wants.";
    MaxMessageLength = "MAX_MESSAGE_LENGTH", Number(1, 20_000), 20_000,
        "Characters of a message, at most.";
    RegistrationOpen = "REGISTRATION_OPEN", Switch, 1,
        "Whether people may register.";
    LimitRegister = "RATE_LIMIT_REGISTER", LIMIT, 60,
        "Registrations in an hour from one address; 0 for any number.";
    LimitLogin = "RATE_LIMIT_LOGIN", LIMIT, 30,
        "Failed log-ins in 5 minutes from one address; 0 for any number.";
    LimitLoginAccount = "RATE_LIMIT_LOGIN_ACCOUNT", LIMIT, 10,
        "Failed log-ins in 15 minutes to one account, from each network it is used from and from all others together; 0 for any number.";
    LimitRefresh = "RATE_LIMIT_REFRESH", LIMIT, 600,
        "Refreshes in a minute from one address; 0 for any number.";
    LimitSend = "RATE_LIMIT_SEND", LIMIT, 600,
        "Messages that a user sends, edits or deletes in 10 seconds; 0 for any number.";
    LimitLookup = "RATE_LIMIT_LOOKUP", LIMIT, 300,
        "Users that a user looks up, and conversations that they begin, in a minute; 0 for any number.";
    LimitUpload = "RATE_LIMIT_UPLOAD", LIMIT, 30,
        "Files that a user uploads in a minute; 0 for any number.";
    LimitSocket = "RATE_LIMIT_SOCKET", LIMIT, 60,
        "Sockets and tickets for them that a user asks for in a minute; 0 for any number.";
    LimitRelay = "RATE_LIMIT_RELAY", LIMIT, 50_000,
        "Requests of a peer in 10 seconds; 0 for any number.";
}

/// The longest that an access token can be made to live: a day. A longer one is refused, whatever it says.
pub const LONGEST_ACCESS: i64 = 24 * 3600;

impl Setting {
    /// Its definition.
    pub fn definition(self) -> &'static Definition {
        const DEFINITIONS: &[Definition] = &TABLE;
        &DEFINITIONS[self as usize]
    }

    /// The setting with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|setting| setting.definition().name == name)
    }

    /// The value that JSON spells; otherwise what it should be.
    pub fn read(self, value: &Value) -> Result<i64, String> {
        match (self.definition().kind, value) {
            (Switch, Value::Bool(on)) => Ok(i64::from(*on)),
            (Switch, _) => Err("This should be true or false.".to_owned()),
            (Number(min, max), value) => value
                .as_i64()
                .filter(|number| (min..=max).contains(number))
                .ok_or_else(|| format!("This should be a whole number from {min} to {max}.")),
        }
    }

    /// A value as JSON spells it.
    pub fn show(self, value: i64) -> Value {
        match self.definition().kind {
            Number(..) => value.into(),
            Switch => (value != 0).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_default_is_a_value_and_every_name_is_its_own() {
        for &setting in Setting::ALL {
            let definition = setting.definition();
            assert_eq!(Setting::named(definition.name), Some(setting));
            let shown = setting.show(definition.default);
            assert_eq!(setting.read(&shown), Ok(definition.default), "{}", definition.name);
        }
        assert_eq!(Setting::named("page_size"), None);
    }

    #[test]
    fn values_of_another_type_or_beyond_the_bounds_are_refused() {
        let ten_years = json!(10 * YEAR);
        for bad in
            [json!(-1), json!(0), ten_years, json!("1"), json!(1.5), json!(true), json!(null)]
        {
            assert!(Setting::AccessTokenLifetime.read(&bad).is_err(), "{bad}");
        }
        for bad in [json!(0), json!(1), json!("true"), json!(null)] {
            assert!(Setting::RegistrationOpen.read(&bad).is_err(), "{bad}");
        }
        assert_eq!(Setting::LimitSend.read(&json!(0)), Ok(0));
        assert_eq!(Setting::RegistrationOpen.read(&json!(false)), Ok(0));
    }
}
