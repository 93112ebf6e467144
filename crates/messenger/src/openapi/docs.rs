use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use shared::problem::Problem;
use std::sync::Arc;
use utoipa_swagger_ui::Config;

/// Everything comes from this app, so that the page works without the Internet. Swagger UI sets styles by script.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// `GET /api/docs/`: an interactive page over the description.
pub async fn page() -> Response {
    let headers = [(CONTENT_SECURITY_POLICY, POLICY)];
    (headers, Html(include_str!("docs.html"))).into_response()
}

/// `GET /api/docs/{file}`: what the page is made of.
pub async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let typed = |media_type: &str| -> Result<_, Problem> {
        let media_type = HeaderValue::from_str(media_type).map_err(|_| Problem::internal())?;
        let cached = HeaderValue::from_static("public, max-age=86400");
        Ok([(CONTENT_TYPE, media_type), (CACHE_CONTROL, cached)])
    };
    if name == "start.js" {
        let script = include_str!("start.js");
        return Ok((typed("text/javascript; charset=utf-8")?, script).into_response());
    }
    let wanted = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];
    if !wanted.contains(&name.as_str()) {
        return Err(Problem::not_found());
    }
    let file = utoipa_swagger_ui::serve(&name, Arc::new(Config::default()));
    let file = file.map_err(|_| Problem::internal())?.ok_or_else(Problem::not_found)?;
    Ok((typed(&file.content_type)?, file.bytes.into_owned()).into_response())
}
