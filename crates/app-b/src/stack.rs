use std::sync::Arc;

use axum::Router;
use messenger::app::AppState;
use shared::encryption::{EncryptionLayer, Keyring};
use shared::time::Clock;

/// The layer of AppB around the routes that carry content: both halves in one.
pub fn stack(routes: Router<AppState>, keyring: Arc<Keyring>, clock: Clock) -> Router<AppState> {
    routes.route_layer(EncryptionLayer::new(keyring, clock))
}
