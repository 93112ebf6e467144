use axum::extract::State;
use axum::response::IntoResponse;
use email_address::{EmailAddress, Options};
use http::StatusCode;
use serde::Deserialize;
use shared::address::Username;
use shared::encryption::Field;
use shared::id::UserId;
use shared::models::{AccountRole, Profile, UserCard, is_name};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::password::weakness;
use super::store::{self, NewAccount};
use crate::app::{App, AppState};
use crate::http::Json;

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

#[derive(Deserialize, ToSchema)]
pub struct Registration {
    email: String,
    password: String,
    username: Option<String>,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
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
    let mut problem = Problem::invalid();
    let email = email(&body.email);
    if email.is_none() {
        problem = problem.field("email", "This should be an e-mail address like name@example.org.");
    }
    let username = match &body.username {
        Some(text) => text.parse::<Username>().map_err(|error| error.to_string()),
        None => derive(email.as_deref().unwrap_or_default()),
    };
    match &username {
        Ok(username) if is_reserved(&app, username) => {
            problem = problem.field("username", "This name is reserved.");
        }
        Ok(_) => {}
        Err(error) => problem = problem.field("username", error.clone()),
    }
    for (field, name) in [("first_name", &body.first_name), ("last_name", &body.last_name)] {
        if !is_name(name) {
            problem = problem
                .field(field, "A name has at most 150 characters and no control characters.");
        }
    }
    let name = username.as_ref().map_or("", Username::as_str);
    if let Some(why) = weakness(&body.password, &[name, email.as_deref().unwrap_or_default()]) {
        problem = problem.field("password", why);
    }
    problem.check()?;
    let (Some(email), Ok(username)) = (email, username) else { return Err(Problem::internal()) };

    let card = UserCard {
        id: UserId::mint(app.clock.now()),
        username,
        app: app.name.clone(),
        first_name: body.first_name.trim().into(),
        last_name: body.last_name.trim().into(),
    };
    let account = NewAccount {
        email_hash: app.accounts.email_hash(&email)?,
        email: app.accounts.fields.seal(Field::Email, card.id.uuid(), &email),
        password_hash: app.accounts.passwords.hash(body.password).await?,
        created_at: app.clock.now(),
        card: card.clone(),
    };
    let created_at = account.created_at;
    app.db.write(|conn| Box::pin(async move { store::create(conn, &account).await })).await?;
    tracing::info!(user = %card.id, "registered");
    let (role, is_active, read_receipts) = (AccountRole::User, true, true);
    let profile = Profile { card, email, role, is_active, read_receipts, created_at };
    Ok((StatusCode::CREATED, Json(profile)))
}

/// An address in the form that it is compared in, if it is one that mail can be sent to.
fn email(text: &str) -> Option<String> {
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

fn is_reserved(app: &App, username: &Username) -> bool {
    let key = username.key();
    RESERVED.contains(&key.as_str()) || app.accounts.reserved.contains(&key)
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
