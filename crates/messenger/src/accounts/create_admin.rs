use serde_json::json;
use shared::address::Username;
use shared::models::{AccountRole, Profile};
use shared::problem::Problem;

use super::register::{Making, Registration, make};
use super::store;
use crate::app::App;
use crate::audit;

/// Whether there is an account of this name.
pub async fn exists(app: &App, username: &str) -> Result<bool, Problem> {
    Ok(find(app, username).await?.is_some())
}

pub(super) async fn find(app: &App, username: &str) -> Result<Option<store::Account>, Problem> {
    let username: Username = username.parse().map_err(|e: shared::address::NameError| {
        Problem::invalid().field("username", e.to_string())
    })?;
    Ok(store::by_username(&mut app.db.read().await?, &app.name, &username.key()).await?)
}

/// Makes an account for an admin, by the rules of registration, though with whatever name the operator likes.
pub async fn create_admin(
    app: &App,
    username: &str,
    email: &str,
    password: String,
) -> Result<Profile, Problem> {
    let registration = Registration {
        email: email.to_owned(),
        password,
        username: Some(username.to_owned()),
        first_name: String::new(),
        last_name: String::new(),
    };
    make(app, registration, Making { role: AccountRole::Admin, ..Making::default() }).await
}

/// Makes an admin of a user who is there; 404 if there is none of this name.
pub async fn promote(app: &App, username: &str) -> Result<Profile, Problem> {
    let account = find(app, username).await?.ok_or_else(Problem::not_found)?;
    let id = account.card.id;
    let now = app.clock.now();
    let promoted = app.db.write(move |conn| {
        Box::pin(async move {
            store::set_role(conn, id, AccountRole::Admin).await?;
            let (subject, details) = (id.to_string(), json!({ "new": AccountRole::Admin }));
            audit::record(conn, None, "user.role_changed", &subject, details, now).await?;
            store::by_id(conn, id).await
        })
    });
    promoted.await?.ok_or_else(Problem::not_found)?.profile(&app.accounts.fields)
}
