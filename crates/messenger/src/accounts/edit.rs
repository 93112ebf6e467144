#![expect(
    clippy::option_option,
    reason = "nothing said, none, and a value are three things in a PATCH (RFC 7396)"
)]

use axum::extract::State;
use futures::future::BoxFuture;
use serde::{Deserialize, Deserializer};
use shared::encryption::{Ciphertext, Field};
use shared::id::SessionId;
use shared::models::{Profile, UserCard, is_name};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::change_password::{fault, prove};
use super::details::{Details, Given};
use super::register::{self, NAME};
use super::store::Account;
use super::{CurrentUser, store};
use crate::app::{App, AppState};
use crate::db::Conn;
use crate::http::{Json, Trace};
use crate::{relay, users};

/// What may be changed of a profile. Everything else that a body names is ignored.
#[derive(Default, Deserialize, ToSchema)]
pub struct ProfileEdit {
    /// May be sent along, but not changed.
    username: Option<String>,
    #[schema(format = Email, examples("alice@example.org"))]
    email: Option<String>,
    /// A new password.
    password: Option<String>,
    /// Needed for a new `email` or `password`.
    current_password: Option<String>,
    /// Whether others are told what the user has read.
    read_receipts: Option<bool>,
    #[schema(max_length = 150)]
    first_name: Option<String>,
    #[schema(max_length = 150)]
    last_name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Date, examples("2001-12-31"))]
    dob: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, examples("+49301234567"))]
    phone_number: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    emergency_contact: Option<Option<String>>,
}

/// Tells `null` from nothing at all.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// `PATCH /api/auth/me/`: changes what is given; `null` removes one of `dob`, `phone_number`, `emergency_contact`.
///
/// A new `email` or `password` needs `current_password`, 403 `wrong_password` otherwise; a new password ends all
/// other sessions. The username cannot be changed. 409 if the e-mail address is somebody else's.
#[utoipa::path(
    patch,
    path = "/me",
    tag = "Accounts",
    summary = "Change the own profile",
    description = "Changes what is given; `null` removes one of `dob`, `phone_number` and `emergency_contact`. A new `email` or `password` needs `current_password`; a new password ends all other sessions. The username cannot be changed, and what is not named here is ignored.",
    request_body = ProfileEdit,
    responses(
        (status = 200, description = "The profile as it is now.", body = Profile),
        (status = 403, description = "`wrong_password`: a new `email` or `password` needs the current password."),
        (status = 409, description = "`email_taken`: the e-mail address is somebody else's."),
    )
)]
pub async fn edit(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    Json(body): Json<ProfileEdit>,
) -> Result<Json<Profile>, Problem> {
    change(&app, &user, &trace, body).await.map(Json)
}

/// `PUT /api/auth/me/`: the same for the whole profile: `email`, `first_name` and `last_name` are required, and what
/// is not given of `dob`, `phone_number` and `emergency_contact` is removed. Picture and password stay unless given.
#[utoipa::path(
    put,
    path = "/me",
    tag = "Accounts",
    summary = "Replace the own profile",
    description = "As `PATCH`, but `email`, `first_name` and `last_name` are required, and what is not given of `dob`, `phone_number` and `emergency_contact` is removed. Picture and password stay unless they are given.",
    request_body = ProfileEdit,
    responses(
        (status = 200, description = "The profile as it is now.", body = Profile),
        (status = 403, description = "`wrong_password`: a new `email` or `password` needs the current password."),
        (status = 409, description = "`email_taken`: the e-mail address is somebody else's."),
    )
)]
pub async fn replace(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    Json(mut body): Json<ProfileEdit>,
) -> Result<Json<Profile>, Problem> {
    let mut problem = Problem::invalid();
    let required =
        [("email", &body.email), ("first_name", &body.first_name), ("last_name", &body.last_name)];
    for (field, value) in required {
        if value.is_none() {
            problem = problem.field(field, "This field is required.");
        }
    }
    problem.check()?;
    body.dob.get_or_insert_default();
    body.phone_number.get_or_insert_default();
    body.emergency_contact.get_or_insert_default();
    change(&app, &user, &trace, body).await.map(Json)
}

/// What is to be written, checked and sealed.
struct Change {
    email: Option<(Vec<u8>, Ciphertext)>,
    password_hash: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    read_receipts: Option<bool>,
    details: Details<Option<Option<Ciphertext>>>,
}

async fn change(
    app: &App,
    user: &CurrentUser,
    trace: &Trace,
    body: ProfileEdit,
) -> Result<Profile, Problem> {
    let (now, session) = (app.clock.now(), user.session);
    let account = store::by_session(&mut app.db.read().await?, session, now).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    let Change { email, password_hash, first_name, last_name, read_receipts, details } =
        checked(app, account, body).await?;
    let (owner, renewed) = (user.id(), password_hash.is_some());
    let profile = change_card(app, user, trace, move |conn, card| {
        Box::pin(async move {
            if let Some((hash, email)) = &email {
                store::set_email(conn, owner, hash, email).await?;
            }
            if let Some(on) = read_receipts {
                store::set_read_receipts(conn, owner, on).await?;
            }
            if let Some(hash) = &password_hash {
                store::set_password(conn, owner, hash).await?;
            }
            let account = store::by_id(conn, owner).await?.ok_or_else(Problem::not_found)?;
            store::set_details(conn, owner, &account.details.with(details)).await?;
            card.first_name = first_name.map_or(card.first_name.clone(), Into::into);
            card.last_name = last_name.map_or(card.last_name.clone(), Into::into);
            Ok(())
        })
    });
    let profile = profile.await?;
    if renewed {
        end_others(app, user, session).await?;
    }
    tracing::info!(user = %owner, password = renewed, "changed the profile");
    Ok(profile)
}

/// The change that a body asks for; 400 and 403 as the handlers say.
async fn checked(app: &App, account: Account, body: ProfileEdit) -> Result<Change, Problem> {
    let profile = account.clone().profile(&app.accounts.fields)?;
    let mut problem = Problem::invalid();
    if body.username.is_some_and(|name| name != profile.card.username.as_str()) {
        problem = problem.field("username", "A username cannot be changed.");
    }
    let email = body.email.as_deref().map(register::email);
    if matches!(email, Some(None)) {
        problem = problem.field("email", register::EMAIL);
    }
    for (field, name) in [("first_name", &body.first_name), ("last_name", &body.last_name)] {
        if name.as_deref().is_some_and(|name| !is_name(name)) {
            problem = problem.field(field, NAME);
        }
    }
    let details = Given {
        dob: body.dob,
        phone_number: body.phone_number,
        emergency_contact: body.emergency_contact,
    };
    let (details, mut problem) = details.check(problem, app.clock.wall());
    let email = email.flatten().filter(|email| *email != profile.email);
    let address = email.as_deref().unwrap_or(&profile.email);
    let others = [profile.card.username.as_str(), address];
    let current = body.current_password.as_deref();
    if let Some(password) = &body.password
        && let Some(why) = fault(password, current.unwrap_or_default(), &others)
    {
        problem = problem.field("password", why);
    }
    problem.check()?;
    if email.is_some() || body.password.is_some() {
        prove(app, &account, current).await?;
    }
    let (owner, fields) = (profile.card.id, &app.accounts.fields);
    let email = match email {
        Some(email) => Some((
            app.accounts.email_hash(&email)?,
            fields.seal(Field::Email, owner.uuid(), &email),
        )),
        None => None,
    };
    let password_hash = match body.password {
        Some(password) => Some(app.accounts.passwords.hash(password).await?),
        None => None,
    };
    let name = |name: Option<String>| name.map(|name| name.trim().to_owned());
    let (first_name, last_name) = (name(body.first_name), name(body.last_name));
    let (details, read_receipts) = (details.seal(fields, owner), body.read_receipts);
    Ok(Change { email, password_hash, first_name, last_name, read_receipts, details })
}

async fn end_others(app: &App, user: &CurrentUser, session: SessionId) -> Result<(), Problem> {
    let (owner, now) = (user.id(), app.clock.now());
    let ended = app.db.write(move |conn| {
        Box::pin(async move { store::end_sessions(conn, owner, Some(session), now).await })
    });
    for session in ended.await? {
        app.accounts.sessions.forget(session).await;
    }
    Ok(())
}

/// Changes the caller's card, and whatever else `change` writes with it, in one transaction, and has the peers told
/// if others see a difference. Gives the profile as it is then.
pub async fn change_card<F>(
    app: &App,
    user: &CurrentUser,
    trace: &Trace,
    change: F,
) -> Result<Profile, Problem>
where
    F: for<'c> FnOnce(&'c mut Conn, &'c mut UserCard) -> BoxFuture<'c, Result<(), Problem>>
        + Send
        + 'static,
{
    let (owner, now, peers) = (user.id(), app.clock.now(), app.relay.peers());
    let (trace, told) = (trace.id, peers.clone());
    let changed = app.db.write(move |conn| {
        Box::pin(async move {
            users::touch(conn, owner, now).await?;
            let before = users::by_id(conn, owner).await?.ok_or_else(Problem::not_found)?;
            let mut card = before.clone();
            change(conn, &mut card).await?;
            if card != before {
                users::set_card(conn, &card).await?;
                relay::append_user(conn, &told, owner, trace, now).await?;
            }
            store::by_id(conn, owner).await?.ok_or_else(Problem::not_found)
        })
    });
    let account = changed.await?;
    app.accounts.sessions.forget(user.session).await;
    app.relay.wake(&peers);
    account.profile(&app.accounts.fields)
}
