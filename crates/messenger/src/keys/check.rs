use shared::encryption::KeyId;
use shared::time::Timestamp;

use super::store;
use crate::app::StartError;
use crate::db::Db;

/// Notes that the app holds these keys now; fails if it has held another with which something is still sealed.
///
/// Only keys that have been held count, or a peer could keep the app from starting by what it names in its messages.
pub async fn check(db: &Db, ring: &[KeyId], now: Timestamp) -> Result<(), StartError> {
    let ring = ring.to_vec();
    let missing = db.write(move |conn| {
        Box::pin(async move {
            let held = store::held(conn).await?;
            for key in held.iter().filter(|key| !ring.contains(key)) {
                if store::is_in_use(conn, *key).await? {
                    return Ok(Some(*key));
                }
                store::forget(conn, *key).await?;
            }
            for key in ring.iter().filter(|key| !held.contains(key)) {
                store::hold(conn, *key, now).await?;
            }
            Ok::<_, crate::db::Error>(None)
        })
    });
    missing.await?.map_or(Ok(()), |key| Err(StartError::MissingKey(key)))
}

/// Whether a process of this app has been started with a key.
pub async fn has_held(db: &Db, key: KeyId) -> crate::db::Result<bool> {
    Ok(store::held(&mut db.read().await?).await?.contains(&key))
}
