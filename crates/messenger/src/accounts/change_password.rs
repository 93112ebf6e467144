use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::guesses::Guess;
use super::password::weakness;
use super::store::Account;
use super::{CurrentUser, store};
use crate::app::{App, AppState};
use crate::http::Json;

#[derive(Deserialize, ToSchema)]
pub struct PasswordChange {
    current_password: String,
    new_password: String,
}

/// Done.
#[derive(Serialize, ToSchema)]
pub struct Changed {
    success: &'static str,
}

/// `POST /api/auth/password/change/`: sets a new password, and ends all the caller's other sessions at once.
/// 403 if the current one is wrong.
#[utoipa::path(
    post,
    path = "/password/change",
    tag = "Accounts",
    summary = "Change the password",
    description = "Sets a new password, and ends all other sessions of the caller.",
    request_body = PasswordChange,
    responses(
        (status = 200, description = "It is changed.", body = Changed),
        (status = 403, description = "`wrong_password`: the current password is another one."),
    )
)]
pub async fn change_password(
    State(app): State<AppState>,
    user: CurrentUser,
    Json(body): Json<PasswordChange>,
) -> Result<Json<Changed>, Problem> {
    let now = app.clock.now();
    let account = store::by_session(&mut app.db.read().await?, user.session, now).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    prove(&app, &account, Some(&body.current_password)).await?;
    let profile = account.profile(&app.accounts.fields)?;
    let others = [profile.card.username.as_str(), profile.email.as_str()];
    if let Some(why) = fault(&body.new_password, &body.current_password, &others) {
        return Err(Problem::invalid().field("new_password", why));
    }
    let hash = app.accounts.passwords.hash(body.new_password).await?;
    let (owner, session) = (user.id(), user.session);
    let ended = app.db.write(move |conn| {
        Box::pin(async move {
            store::set_password(conn, owner, &hash).await?;
            store::end_sessions(conn, owner, Some(session), now).await
        })
    });
    for session in ended.await? {
        app.accounts.sessions.forget(session).await;
    }
    tracing::info!(user = %owner, "changed the password");
    Ok(Json(Changed { success: "Password changed." }))
}

/// Fails with 403 `wrong_password` unless the current password of the account has been shown; 429 after too many guesses.
pub async fn prove(app: &App, account: &Account, shown: Option<&str>) -> Result<(), Problem> {
    let wrong = |why: &'static str| {
        Problem::forbidden("wrong_password", "Changing this needs the current password.")
            .field("current_password", why)
    };
    let shown = shown.ok_or_else(|| wrong("This field is required here."))?;
    let guess = Guess::count_own(app, account).await?;
    let stored = Some(account.password_hash.clone());
    if !app.accounts.passwords.verify(shown.to_owned(), stored).await? {
        return Err(wrong("This is not the current password."));
    }
    guess.was_right(app).await;
    Ok(())
}

/// What is wrong with a new password in the place of the current one, if anything.
pub fn fault(new: &str, current: &str, others: &[&str]) -> Option<&'static str> {
    weakness(new, others).or_else(|| (new == current).then_some("This is the current password."))
}
