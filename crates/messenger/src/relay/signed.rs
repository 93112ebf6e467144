use axum::RequestExt;
use axum::extract::{FromRequest, OriginalUri, Request};
use bytes::Bytes;
use http::StatusCode;
use shared::address::AppName;
use shared::problem::Problem;

use super::MAX_BODY;
use super::service_token::claimed_sender;
use crate::accounts::bearer;
use crate::app::AppState;

/// A request that a peer has signed, and its body. Whoever takes it knows that the peer can be reached.
pub struct Signed {
    /// The peer.
    pub peer: AppName,
    /// The body that the peer has signed.
    pub body: Bytes,
}

impl FromRequest<AppState> for Signed {
    type Rejection = Problem;

    async fn from_request(mut request: Request, app: &AppState) -> Result<Self, Problem> {
        let refused = || {
            Problem::unauthenticated(
                "invalid_service_token",
                "The request is not signed by a known peer.",
            )
        };
        let OriginalUri(uri) = request.extract_parts().await.map_err(|_| Problem::internal())?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let token = bearer(request.headers())?.ok_or_else(refused)?;
        let peer = claimed_sender(token).ok_or_else(refused)?;
        let client = app.relay.client(&peer).ok_or_else(refused)?;
        let digest = client.verify(token, request.method(), target).ok_or_else(refused)?;
        let body = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::too_large(MAX_BODY)
            } else {
                Problem::malformed("The body broke off.")
            }
        })?;
        if !digest.matches(&body) {
            return Err(refused());
        }
        app.relay.heard(&peer);
        Ok(Self { peer, body })
    }
}
