//! The whole API, and the whole stack around it.

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::Response;
use axum::{Router, middleware};
use shared::encryption::{Keyring, MAX_REQUEST};
use shared::time::Clock;
use tower::util::{BoxCloneSyncService, MapRequestLayer};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::app::AppState;
use crate::{
    accounts, audit, conversations, health, http, limits, messages, monitoring, openapi, outbox,
    peers, realtime, relay, settings, users, web,
};

/// How an app stacks the encryption layers around the routes that carry content: what AppA and AppB differ in.
pub type Stack = fn(Router<AppState>, Arc<Keyring>, Clock) -> Router<AppState>;

/// What a connection is served with.
pub type Service = BoxCloneSyncService<Request, Response, std::convert::Infallible>;

/// Bytes of a request whose content has been sealed, at most: the layers have let in [`MAX_REQUEST`], and a token is
/// longer than its text by a third and a little.
const MAX_SEALED: usize = 2 * MAX_REQUEST;
/// How long a request may take, from its last header to the first byte of its answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// The routes that carry content, which the encryption layers wrap.
pub(crate) fn content() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .nest("/api/chats/conversations", conversations::routes())
        .nest("/api/chats/messages", messages::routes())
        .nest("/api/messages", messages::inbox_routes())
}

/// The route of the socket, whose frames carry content.
pub(crate) fn sockets() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().nest("/api/ws", realtime::socket_routes())
}

/// All other routes.
pub(crate) fn others() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .nest("/api", accounts::routes())
        .nest("/api", openapi::routes())
        .nest("/api", web::routes())
        .nest("/api/users", users::routes())
        .nest("/api/admin/settings", settings::routes())
        .nest("/api/admin/audit", audit::routes())
        .nest("/api/admin/outbox", outbox::routes())
        .nest("/api/admin/peers", peers::routes())
        .nest("/api/ws", realtime::routes())
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .nest("/relay/v1", relay::routes())
        .nest("/health", health::routes())
}

/// The service of an app.
pub fn router(app: AppState, keyring: Arc<Keyring>, stack: Stack) -> Service {
    let content = content().layer(DefaultBodyLimit::max(MAX_SEALED));
    let limit = middleware::from_fn_with_state(app.clone(), limits::limit);
    // The layers seal in the name of the caller, so authentication comes before them; and so do the limits, as sealing
    // is work.
    let content = stack(content.into(), keyring.clone(), app.clock.clone())
        .route_layer(limit.clone())
        .route_layer(middleware::from_fn_with_state(app.clone(), accounts::authenticate));
    // This one finds out by itself who the caller is.
    let sockets = stack(sockets().into(), keyring, app.clock.clone()).route_layer(limit.clone());
    let others = Router::from(others()).route_layer(limit);
    // Around all of that, so that what is refused is counted for its route too.
    let routes = content
        .merge(sockets)
        .merge(others)
        .route_layer(MapRequestLayer::new(monitoring::note_route))
        .fallback(web::page)
        .with_state(app.clone());

    let service = ServiceBuilder::new()
        // Outermost: whatever happens below, the answer is finished here.
        .layer(middleware::from_fn_with_state(app, http::edge))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, DEADLINE))
        // Canonical paths end in a slash; routes are matched without it.
        .layer(NormalizePathLayer::trim_trailing_slash())
        .service(routes);
    BoxCloneSyncService::new(service.map_response(|response: Response| response))
}
