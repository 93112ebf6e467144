use std::sync::Arc;

use axum::Router;
use messenger::app::AppState;
use shared::encryption::{EncryptionLayer, Keyring, OpenFramesLayer};
use shared::time::Clock;

/// The layer of AppB around the routes that carry content: both halves in one, and what opens the frames of a socket.
pub fn stack(routes: Router<AppState>, keyring: Arc<Keyring>, clock: Clock) -> Router<AppState> {
    routes
        .route_layer(EncryptionLayer::new(keyring.clone(), clock))
        .route_layer(OpenFramesLayer::new(keyring))
}
