use serde_json::json;
use shared::models::Profile;
use shared::problem::Problem;

use super::create_admin::find;
use super::password::weakness;
use super::store;
use crate::app::App;
use crate::audit;

/// What a reset has done.
pub struct Reset {
    /// Whose password it was.
    pub profile: Profile,
    /// How many sessions it has ended.
    pub sessions: usize,
}

/// Gives a user another password by the rules of all passwords, and ends all their sessions, which apps that run
/// notice within a second; 404 if there is nobody of this name.
pub async fn reset_password(app: &App, username: &str, password: String) -> Result<Reset, Problem> {
    let account = find(app, username).await?.ok_or_else(Problem::not_found)?;
    let id = account.card.id;
    let profile = account.profile(&app.accounts.fields)?;
    let others = [profile.card.username.as_str(), profile.email.as_str()];
    if let Some(why) = weakness(&password, &others) {
        return Err(Problem::invalid().field("password", why));
    }
    let hash = app.accounts.passwords.hash(password).await?;
    let now = app.clock.now();
    let ended = app.db.write(move |conn| {
        Box::pin(async move {
            store::set_password(conn, id, &hash).await?;
            let ended = store::end_sessions(conn, id, None, now).await?;
            let details = json!({ "sessions_ended": ended.len() });
            audit::record(conn, None, "user.password_reset", &id.to_string(), details, now).await?;
            Ok::<_, crate::db::Error>(ended.len())
        })
    });
    Ok(Reset { profile, sessions: ended.await? })
}
