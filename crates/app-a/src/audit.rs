use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use shared::encryption::{Caller, Sealed};

/// Records who has changed which message, and with what result. It runs where there is only ciphertext.
pub async fn audit(request: Request, next: Next) -> Response {
    let Some(sealed) = request.extensions().get::<Sealed>().copied() else {
        return next.run(request).await;
    };
    let caller = request.extensions().get::<Caller>().map(|caller| caller.0.to_string());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = next.run(request).await;
    tracing::debug!(
        target: "audit",
        %method,
        route,
        caller,
        message = %sealed.message,
        revision = sealed.revision,
        status = response.status().as_u16(),
        "sealed content"
    );
    response
}
