use std::sync::Arc;

use axum::{Router, middleware};
use messenger::app::AppState;
use shared::encryption::{DecryptResponseLayer, EncryptRequestLayer, Keyring, OpenFramesLayer};
use shared::time::Clock;
use tower::ServiceBuilder;

use crate::audit::audit;

/// The layers of AppA around the routes that carry content: the two halves, with the audit between them.
pub fn stack(routes: Router<AppState>, keyring: Arc<Keyring>, clock: Clock) -> Router<AppState> {
    routes.route_layer(
        ServiceBuilder::new()
            // The frames of a socket, which are no response body.
            .layer(OpenFramesLayer::new(keyring.clone()))
            // The response on its way out: opened last, after everything below has seen only tokens.
            .layer(DecryptResponseLayer::new(keyring.clone()))
            // The request on its way in: sealed first, before anything below sees it.
            .layer(EncryptRequestLayer::new(keyring, clock))
            // Between the halves there is nothing in the clear to record.
            .layer(middleware::from_fn(audit)),
    )
}
