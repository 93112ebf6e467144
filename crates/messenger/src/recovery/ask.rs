use shared::address::AppName;
use shared::relay::RecoveryRequest;

use super::store;
use crate::app::App;
use crate::relay::{Delivery, PeerClient};

/// Asks a peer to tell again what has happened since the backup that this database was restored from, if it was and the
/// peer has not been asked. To be asked twice changes nothing for the peer.
pub async fn ask(app: &App, peer: &AppName, client: &PeerClient) -> Result<(), Delivery> {
    let failed = |error: crate::db::Error| Delivery::internal(&error);
    let mut conn = app.db.read().await.map_err(failed)?;
    let unasked = store::unasked(&mut conn, peer).await.map_err(failed)?;
    drop(conn);
    let Some((id, since)) = unasked else { return Ok(()) };
    tracing::warn!(%peer, %since, "restored from a backup; asking the peer what has happened since");
    let understood = client.recover(&RecoveryRequest { id, since }).await?;
    if !understood {
        tracing::error!(%peer, "the peer is of a release that gives nothing back");
    }
    let name = peer.clone();
    let noted = app.db.write(move |conn| {
        Box::pin(async move {
            if understood {
                store::asked(conn, &name, id).await
            } else {
                store::end(conn, &name, id).await.map(|_| ())
            }
        })
    });
    noted.await.map_err(failed)
}
