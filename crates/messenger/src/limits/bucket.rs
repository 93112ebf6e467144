use std::time::Duration;

use http::Method;

use super::rate::Rate;
use crate::settings::{Setting, Settings};

/// What is limited together. Other names of a route share its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Registrations, per client address.
    Register,
    /// Log-ins that fail, per client address.
    Login,
    /// Log-ins that fail, per account; see [`super::Limits::guess`].
    LoginAccount,
    /// Refreshes, per client address.
    Refresh,
    /// Messages sent, edited and deleted, per user.
    Send,
    /// Users looked up by name, and conversations begun, per user.
    Lookup,
    /// Files, per user.
    Upload,
    /// Sockets, and tickets for them, per user.
    Socket,
    /// Requests between the apps, per peer.
    Relay,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those from a client address.
    Address,
    /// Those of a user.
    User,
    /// Those of another app.
    Peer,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Register,
        Self::Login,
        Self::LoginAccount,
        Self::Refresh,
        Self::Send,
        Self::Lookup,
        Self::Upload,
        Self::Socket,
        Self::Relay,
    ];

    /// The bucket of a route, if it is limited. `path` is the pattern that the router has matched.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        Some(match (method.as_str(), path.trim_end_matches('/')) {
            ("POST", "/api/auth/register" | "/api/register") => Self::Register,
            ("POST", "/api/auth/login" | "/api/login" | "/api/token") => Self::Login,
            ("POST", "/api/auth/refresh" | "/api/refresh" | "/api/token/refresh") => Self::Refresh,
            ("POST", "/api/chats/messages" | "/api/messages/send")
            | ("PUT" | "PATCH" | "DELETE", "/api/chats/messages/{id}") => Self::Send,
            ("GET", "/api/users" | "/api/users/get_by_username")
            | ("POST", "/api/chats/conversations" | "/api/chats/conversations/{id}/participants") => {
                Self::Lookup
            }
            ("PUT" | "POST", "/api/auth/me/picture" | "/api/me/picture") => Self::Upload,
            ("GET", "/api/ws") | ("POST", "/api/ws/ticket") => Self::Socket,
            (
                _,
                "/relay/v1/events"
                | "/relay/v1/reach"
                | "/relay/v1/users"
                | "/relay/v1/users/{id}/picture",
            ) => Self::Relay,
            _ => return None,
        })
    }

    /// What headers and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::LoginAccount => "login_account",
            Self::Refresh => "refresh",
            Self::Send => "send",
            Self::Lookup => "lookup",
            Self::Upload => "upload",
            Self::Socket => "socket",
            Self::Relay => "relay",
        }
    }

    /// Whose requests it counts together; for [`Bucket::LoginAccount`] that is not the request's alone to say.
    pub fn whose(self) -> Whose {
        match self {
            Self::Register | Self::Login | Self::LoginAccount | Self::Refresh => Whose::Address,
            Self::Send | Self::Lookup | Self::Upload | Self::Socket => Whose::User,
            Self::Relay => Whose::Peer,
        }
    }

    /// What it holds by the settings of this moment; `None` if it is not limited.
    pub fn rate(self, settings: &Settings) -> Option<Rate> {
        let (setting, seconds) = match self {
            Self::Register => (Setting::LimitRegister, 3600),
            Self::Login => (Setting::LimitLogin, 300),
            Self::LoginAccount => (Setting::LimitLoginAccount, 900),
            Self::Refresh => (Setting::LimitRefresh, 60),
            Self::Send => (Setting::LimitSend, 10),
            Self::Lookup => (Setting::LimitLookup, 60),
            Self::Upload => (Setting::LimitUpload, 60),
            Self::Socket => (Setting::LimitSocket, 60),
            Self::Relay => (Setting::LimitRelay, 10),
        };
        Rate::new(settings.get(setting), Duration::from_secs(seconds))
    }
}
