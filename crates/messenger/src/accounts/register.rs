use axum::extract::State;
use axum::response::IntoResponse;
use email_address::{EmailAddress, Options};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use shared::address::Username;
use shared::encryption::Field;
use shared::id::UserId;
use shared::models::{AccountRole, Profile, UserCard, is_name};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::details::{Details, Given};
use super::password::weakness;
use super::store::{self, NewAccount};
use crate::app::{App, AppState};
use crate::audit;
use crate::http::Json;
use crate::settings::Setting;

/// Names that no person may have.
const RESERVED: &[&str] = &[
    "admin",
    "administrator",
    "api",
    "auth",
    "everyone",
    "help",
    "info",
    "me",
    "moderator",
    "none",
    "null",
    "root",
    "security",
    "support",
    "system",
    "webmaster",
];
/// Bytes of an e-mail address, at most (RFC 5321 §4.5.3.1.3, less the angle brackets).
const EMAIL_LENGTH: usize = 254;
/// What is wrong with something that is no e-mail address.
pub const EMAIL: &str = "This should be an e-mail address like name@example.org.";
/// What is wrong with something that is no first or last name.
pub const NAME: &str = "A name has at most 150 characters and no control characters.";

#[derive(Deserialize, ToSchema)]
pub struct Registration {
    pub email: String,
    pub password: String,
    pub username: Option<String>,
    #[serde(default)]
    pub first_name: String,
    #[serde(default)]
    pub last_name: String,
}

/// What an account is made with that no registration can ask for.
pub struct Making {
    pub role: AccountRole,
    pub added_by: Option<UserId>,
    pub details: Given,
}

impl Default for Making {
    fn default() -> Self {
        Self { role: AccountRole::User, added_by: None, details: Given::default() }
    }
}

/// `POST /api/auth/register/`: makes an account and answers 201 with it; 409 if name or e-mail are taken.
#[utoipa::path(
    post,
    path = "/register",
    tag = "Accounts",
    summary = "Register",
    description = "Makes an account of this app. Without `username`, one is derived from the e-mail address.",
    security(()),
    request_body = Registration,
    responses(
        (status = 201, description = "The account.", body = Profile),
        (status = 403, description = "`registration_closed`: this app takes no registrations."),
        (status = 409, description = "`username_taken` or `email_taken`."),
    )
)]
pub async fn register(
    State(app): State<AppState>,
    Json(body): Json<Registration>,
) -> Result<impl IntoResponse, Problem> {
    if !app.settings.is_on(Setting::RegistrationOpen) {
        return Err(Problem::forbidden(
            "registration_closed",
            "This app takes no registrations at present.",
        ));
    }
    let profile = make(&app, body, Making::default()).await?;
    tracing::info!(user = %profile.card.id, "registered");
    Ok((StatusCode::CREATED, Json(profile)))
}

/// Makes an account; 400 if something is wrong with it, 409 if name or e-mail are taken.
pub async fn make(app: &App, body: Registration, making: Making) -> Result<Profile, Problem> {
    let mut problem = Problem::invalid();
    let email = email(&body.email);
    if email.is_none() {
        problem = problem.field("email", EMAIL);
    }
    let username = match &body.username {
        Some(text) => text.parse::<Username>().map_err(|error| error.to_string()),
        None => derive(email.as_deref().unwrap_or_default()),
    };
    match &username {
        Ok(username) if is_reserved(app, username, making.role) => {
            problem = problem.field("username", "This name is reserved.");
        }
        Ok(_) => {}
        Err(error) => problem = problem.field("username", error.clone()),
    }
    for (field, name) in [("first_name", &body.first_name), ("last_name", &body.last_name)] {
        if !is_name(name) {
            problem = problem.field(field, NAME);
        }
    }
    let name = username.as_ref().map_or("", Username::as_str);
    if let Some(why) = weakness(&body.password, &[name, email.as_deref().unwrap_or_default()]) {
        problem = problem.field("password", why);
    }
    let (details, problem) = making.details.check(problem, app.clock.wall());
    problem.check()?;
    let (Some(email), Ok(username)) = (email, username) else { return Err(Problem::internal()) };

    let card = UserCard {
        id: UserId::mint(app.clock.now()),
        username,
        app: app.name.clone(),
        first_name: body.first_name.trim().into(),
        last_name: body.last_name.trim().into(),
        picture: None,
    };
    let details = details.seal(&app.accounts.fields, card.id);
    let account = NewAccount {
        email_hash: app.accounts.email_hash(&email)?,
        email: app.accounts.fields.seal(Field::Email, card.id.uuid(), &email),
        password_hash: app.accounts.passwords.hash(body.password).await?,
        role: making.role,
        details: Details::default().with(details),
        added_by: making.added_by,
        created_at: app.clock.now(),
        card,
    };
    let made = app.db.write(|conn| {
        Box::pin(async move {
            store::create(conn, &account).await?;
            // What admins do, on the command line too, is recorded.
            if account.added_by.is_some() || account.role == AccountRole::Admin {
                let (subject, details) =
                    (account.card.id.to_string(), json!({ "role": account.role }));
                let (actor, now) = (account.added_by, account.created_at);
                audit::record(conn, actor, "user.created", &subject, details, now).await?;
            }
            store::by_id(conn, account.card.id).await?.ok_or_else(Problem::internal)
        })
    });
    made.await?.profile(&app.accounts.fields)
}

/// An address in the form that it is compared in, if it is one that mail can be sent to.
pub fn email(text: &str) -> Option<String> {
    let options =
        Options::default().with_required_tld().without_display_text().without_domain_literal();
    let text = text.trim();
    let sound = text.len() <= EMAIL_LENGTH
        && !text.contains('"')
        && EmailAddress::parse_with_options(text, options).is_ok();
    sound.then(|| text.to_lowercase())
}

/// A username from the part of the address before the @.
fn derive(email: &str) -> Result<Username, String> {
    let local = email.split('@').next().unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-');
    let name: String = local.chars().filter(|&c| allowed(c)).collect();
    let name = name.trim_matches('.').parse();
    name.map_err(|_| "No username can be made from this e-mail address; choose one.".to_owned())
}

/// An admin may be called admin; nobody is called as an app is.
fn is_reserved(app: &App, username: &Username, role: AccountRole) -> bool {
    let key = username.key();
    let reserved = RESERVED.contains(&key.as_str()) && role != AccountRole::Admin;
    reserved || app.accounts.reserved.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_compared_without_case() {
        assert_eq!(email(" A@EX.com ").as_deref(), Some("a@ex.com"));
        let long = format!("{}@example.org", "x".repeat(250));
        for bad in [
            "",
            "a",
            "a@b",
            "a b@c.de",
            "\"a b\"@c.de",
            "a@[127.0.0.1]",
            "Al <a@b.de>",
            "a@b@c.de",
            &long,
        ] {
            assert_eq!(email(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_username_is_derived_where_the_address_allows_one() {
        assert_eq!(derive("al.ice@example.org").unwrap().as_str(), "al.ice");
        assert!(derive("al@example.org").is_err());
    }
}
