//! The description of the API (OpenAPI 3.1), made from the routes themselves, and the page that shows it.
//!
//! Each handler carries what is particular to it. What every route has in common is added in `finish.rs`: the
//! problems that any request may meet, and the slash at the end of canonical paths.

mod docs;
mod finish;
mod schema;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::app::AppState;
use crate::router;

/// The whole description: the same on every app.
pub fn description() -> utoipa::openapi::OpenApi {
    finish::finish(
        router::content().merge(router::sockets()).merge(router::others()).into_openapi(),
    )
}

/// The routes `/api/schema` and `/api/docs`, which need no session.
pub fn routes() -> OpenApiRouter<AppState> {
    let page = Router::new().route("/docs", get(docs::page)).route("/docs/{file}", get(docs::file));
    OpenApiRouter::new()
        .routes(utoipa_axum::routes!(schema::schema))
        .merge(OpenApiRouter::from(page))
}

/// The same handler and its description under another path.
pub fn under<S: Send + Sync + Clone + 'static>(
    path: &str,
    (schemas, mut paths, handlers): UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S> {
    let items = std::mem::take(&mut paths.paths);
    paths.paths = items.into_values().map(|item| (path.to_owned(), item)).collect();
    (schemas, paths, handlers)
}
