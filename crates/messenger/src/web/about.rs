use axum::extract::State;
use serde::Serialize;
use shared::address::AppName;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::config::{Accent, Config};
use crate::http::Json;
use crate::settings::Setting;
use crate::{accounts, conversations};

/// What anybody may know of an app, and its web interface has to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct About {
    /// The part of an address after the @.
    #[schema(examples("app-a"))]
    name: AppName,
    /// What people call it.
    #[schema(examples("AppA"))]
    display_name: String,
    /// The hue by which its pages are told from those of other apps.
    accent: Accent,
    /// The apps whose users can be written to.
    peers: Vec<AppName>,
    /// The cookie whose value unsafe requests repeat in `X-CSRFToken`.
    #[schema(examples("__Host-csrftoken"))]
    csrf_cookie: String,
    /// Whether people may make accounts for themselves.
    registration_open: bool,
    limits: Limits,
}

/// How long things may be.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Limits {
    /// Characters of a message, at most.
    #[schema(examples(20_000))]
    message_length: i64,
    /// Characters of a group's title, at most.
    #[schema(examples(200))]
    title_length: usize,
    /// People in a conversation, at most.
    #[schema(examples(500))]
    participants: usize,
    /// Characters of a password, at least.
    #[schema(examples(8))]
    password_min: usize,
    /// Characters of a password, at most.
    #[schema(examples(128))]
    password_max: usize,
}

impl About {
    /// What people call the app.
    pub fn display_name(&self) -> &str {
        &self.display_name
    }

    /// What the configuration says; what an admin may change is filled in when it is asked for.
    pub fn new(config: &Config) -> Self {
        let (password_min, password_max) = accounts::PASSWORD_LENGTH.into_inner();
        Self {
            name: config.app.clone(),
            display_name: config.display_name.clone(),
            accent: config.accent,
            peers: config.peers.iter().map(|peer| peer.name.clone()).collect(),
            csrf_cookie: config.browsers.cookies.csrf.clone(),
            registration_open: true,
            limits: Limits {
                message_length: 0,
                title_length: conversations::MAX_TITLE,
                participants: conversations::MAX_PARTICIPANTS,
                password_min,
                password_max,
            },
        }
    }
}

/// `GET /api/about/`: which app this is, for pages and programs that have no session yet.
#[utoipa::path(
    get,
    path = "/about",
    tag = "Description",
    summary = "Say which app this is",
    description = "Its name and colour, its peers, and how long things may be. The web interface begins with it.",
    security(()),
    responses((status = 200, description = "The app.", body = About))
)]
pub async fn about(State(app): State<AppState>) -> Json<About> {
    let mut about = app.about.clone();
    about.registration_open = app.settings.is_on(Setting::RegistrationOpen);
    about.limits.message_length = app.settings.get(Setting::MaxMessageLength);
    Json(about)
}
