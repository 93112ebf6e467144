use shared::encryption::KeyId;

use super::Manner;
use super::ring::Ring;
use crate::config::Config;
use crate::db::Db;
use crate::keys;

/// Moves a key to the front, if everybody who will have to open what it seals holds it.
pub async fn promote(
    config: &Config,
    id: KeyId,
    force: bool,
    manner: Manner,
) -> Result<String, String> {
    let mut ring = Ring::of(config);
    let position = ring.position(id)?;
    let database = |error: crate::db::Error| format!("the database cannot be used: {error}");
    let db = Db::open(config.database_url.expose()).await.map_err(database)?;
    let held = keys::has_held(&db, id).await.map_err(database)?;
    db.close().await;
    if !held {
        return Err(format!(
            "no process of this app has been started with {id} yet; restart all of them first, \
             or those that have not been could not open what the others seal"
        ));
    }
    for answer in keys::ask_peers(config).await {
        let peer = &answer.peer;
        match answer.keys {
            Ok(keys) if keys.ring.contains(&id) => {}
            Ok(_) => {
                return Err(format!(
                    "{peer} does not hold {id} and could not open what it seals; \
                     add the key there, restart {peer}, and try again"
                ));
            }
            Err(why) if !force => {
                return Err(format!(
                    "{peer} cannot be asked whether it holds {id} ({why}); --force does it all the same"
                ));
            }
            Err(_) => {}
        }
    }
    ring.promote(position);
    ring.put(id, "stands at the front of the ring", manner)
}
