use shared::address::AppName;
use shared::relay;
use shared::time::Clock;

use crate::config::Config;
use crate::relay::PeerClient;

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
    for peer in &config.peers {
        let client = PeerClient::new(&config.app, peer, Clock::system());
        answers.push(PeerKeys { peer: peer.name.clone(), keys: client.keys().await });
    }
    answers
}
