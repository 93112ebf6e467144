use std::sync::Arc;

use shared::address::AppName;
use shared::relay;
use shared::time::Clock;

use crate::config::Config;
use crate::relay::{PeerClient, connections};

/// What a peer says of its keys, or why it cannot be asked.
pub struct PeerKeys {
    /// Which peer.
    pub peer: AppName,
    /// Its answer.
    pub keys: Result<relay::Keys, String>,
}

/// Asks all peers which keys they hold.
pub async fn ask_peers(config: &Config) -> Vec<PeerKeys> {
    let mut answers = Vec::with_capacity(config.peers.len());
    let connections = connections(config).map(Arc::new).map_err(|error| error.to_string());
    for peer in &config.peers {
        let keys = match &connections {
            Ok(http) => {
                PeerClient::new(&config.app, peer, http.clone(), Clock::system()).keys().await
            }
            Err(why) => Err(why.clone()),
        };
        answers.push(PeerKeys { peer: peer.name.clone(), keys });
    }
    answers
}
