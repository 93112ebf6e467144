use std::sync::LazyLock;

use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    let text = super::description().to_json().unwrap_or_default();
    Bytes::from(text)
});

/// `GET /api/schema/`: the description of this API, for machines.
#[utoipa::path(
    get,
    path = "/schema",
    tag = "Description",
    summary = "Describe the API",
    description = "This document. `/api/docs/` shows it to people.",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object))
)]
pub async fn schema() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, DOCUMENT.clone())
}
