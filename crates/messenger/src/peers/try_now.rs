use shared::address::AppName;

use super::store;
use crate::app::App;

/// Has peers tried at once, however long the wait after the last failure would still be, by whichever process sends to
/// them: it hears of it through Redis, and finds it in the database within a second otherwise.
pub async fn try_now(app: &App, peers: &[AppName]) {
    let names = peers.to_vec();
    let written =
        app.db.write(move |conn| Box::pin(async move { store::try_now(conn, &names).await }));
    if let Err(error) = written.await {
        tracing::warn!(?peers, %error, "other processes may not hear that peers are to be tried now");
    }
    app.realtime.try_now(peers);
    app.relay.try_now(peers);
}
