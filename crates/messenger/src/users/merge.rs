use shared::address::AppName;
use shared::relay::UserState;
use shared::time::Timestamp;

use super::store;
use crate::db::{Conn, Result};
use crate::pictures;
use crate::relay::MAX_AHEAD;

/// Takes in what a user's own app says of them, unless it has said something later: an answer to a question may
/// arrive after the news of a change. Gives the user as known from now on, or `None`, and nothing changed, if the id
/// or the name is somebody else's.
pub async fn hear(conn: &mut Conn, state: &UserState, now: Timestamp) -> Result<Option<UserState>> {
    let known = store::state(conn, state.user.id).await?;
    if let Some(known) = known.filter(|known| known.changed_at > state.changed_at) {
        return Ok((known.user.app == state.user.app).then_some(known));
    }
    if store::adopt(conn, &state.user, true, now).await?.is_none() {
        return Ok(None);
    }
    store::set_word(conn, state).await?;
    if state.user.picture.is_none() {
        pictures::forget(conn, state.user.id).await?;
    }
    Ok(Some(state.clone()))
}

/// Takes in the news that a user of the peer `origin` has changed. Whom this app has never met it need not know.
pub async fn merge(
    conn: &mut Conn,
    origin: &AppName,
    state: &UserState,
    now: Timestamp,
) -> Result<Result<(), &'static str>> {
    if state.user.app != *origin {
        return Ok(Err("not_your_user"));
    }
    if state.changed_at > now.after(MAX_AHEAD) {
        return Ok(Err("from_the_future"));
    }
    let name = state.user.username.key();
    let met = store::state(conn, state.user.id).await?.is_some()
        || store::by_name(conn, origin.as_str(), &name).await?.is_some();
    if met && hear(conn, state, now).await?.is_none() {
        return Ok(Err("user_conflict"));
    }
    Ok(Ok(()))
}
