use shared::encryption::{KeyId, Keyring};

use super::Manner;
use super::ring::Ring;
use crate::config::Config;
use crate::db::Db;
use crate::keys;

/// Takes a key out of the ring, if nothing here is sealed with it, and nothing that peers may send.
pub async fn retire(
    config: &Config,
    id: KeyId,
    force: bool,
    manner: Manner,
) -> Result<String, String> {
    let mut ring = Ring::of(config);
    let position = ring.position(id)?;
    let ids = ring.ids()?;
    let first = ids[0];
    if id == first {
        return Err(format!("{id} is the key that seals; promote another one first"));
    }
    let database = |error: crate::db::Error| format!("the database cannot be used: {error}");
    let keyring = Keyring::parse(config.fernet_keys.expose()).map_err(|error| error.to_string())?;
    let db = Db::open(config.database_url.expose()).await.map_err(database)?;
    let usage = keys::still_needs(&db, &keyring, id).await.map_err(database)?;
    db.close().await;
    if !usage.is_none() {
        return Err(format!(
            "{id} is still in use: {}; keys reseal seals them with {first}",
            usage.describe()
        ));
    }
    for answer in keys::ask_peers(config).await {
        let peer = &answer.peer;
        match answer.keys {
            Ok(keys) if !keys.ring.contains(&first) => {
                return Err(format!(
                    "{peer} does not hold {first}, with which this app seals; add it there first"
                ));
            }
            Ok(keys) if keys.ring.first() == Some(&id) => {
                return Err(format!(
                    "{peer} still seals with {id}; promote another key there, and restart {peer}"
                ));
            }
            Ok(keys) if keys.in_use.contains(&id) => {
                return Err(format!(
                    "{peer} still has messages that are sealed with {id}, and may send them; \
                     run keys reseal there first"
                ));
            }
            Err(why) if !force => {
                return Err(format!(
                    "{peer} cannot be asked whether it still seals with {id} ({why}); \
                     --force does it all the same"
                ));
            }
            Ok(_) | Err(_) => {}
        }
    }
    ring.remove(position);
    ring.put(id, "is retired", manner)
}
