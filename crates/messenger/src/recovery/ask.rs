use shared::address::AppName;
use shared::relay::RecoveryRequest;

use super::store;
use crate::app::App;
use crate::relay::{Delivery, PeerClient};

/// Asks a peer to tell again what has happened since the backup that this database was restored from, if it was and the
/// peer has not been asked.
pub async fn ask(app: &App, peer: &AppName, client: &PeerClient) -> Result<(), Delivery> {
    let failed = |error: crate::db::Error| Delivery::failed(error.to_string());
    let mut conn = app.db.read().await.map_err(failed)?;
    let unasked = store::unasked(&mut conn, peer).await.map_err(failed)?;
    drop(conn);
    let Some((id, since)) = unasked else { return Ok(()) };
    tracing::warn!(%peer, %since, "restored from a backup; asking the peer what has happened since");
    // Noted before: what the peer tells may come before its answer does. Asked again it begins anew.
    let (name, marked) = (peer.clone(), id);
    let noted =
        app.db.write(move |conn| Box::pin(async move { store::asked(conn, &name, marked).await }));
    noted.await.map_err(failed)?;
    let asked = client.recover(&RecoveryRequest { id, since }).await;
    if asked.is_err() {
        let name = peer.clone();
        let undone = app
            .db
            .write(move |conn| Box::pin(async move { store::not_asked(conn, &name, id).await }));
        undone.await.map_err(failed)?;
    }
    asked
}
