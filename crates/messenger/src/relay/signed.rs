use axum::extract::{FromRequest, OriginalUri, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode};
use shared::address::AppName;
use shared::problem::Problem;

use super::MAX_BODY;
use super::service_token::{BodyDigest, claimed_sender};
use crate::accounts::bearer;
use crate::app::{App, AppState};
use crate::tls::ShownCertificate;

/// A request that a peer has signed, and its body. Whoever takes it knows that the peer can be reached.
pub struct Signed {
    /// The peer.
    pub peer: AppName,
    /// The body that the peer has signed.
    pub body: Bytes,
}

impl FromRequest<AppState> for Signed {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let refused = || {
            Problem::unauthenticated(
                "invalid_service_token",
                "The request is not signed by a known peer.",
            )
        };
        let extensions = request.extensions();
        if !is_certified(app, extensions) {
            return Err(Problem::forbidden(
                "certificate_required",
                "Peers have to show a certificate that TLS_CLIENT_CA_FILE has signed.",
            ));
        }
        let verified = verify(app, request.method(), extensions, request.headers());
        let (peer, digest) = verified.ok_or_else(refused)?;
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

/// The peer that has signed a request, whatever its body.
pub fn signer(app: &App, parts: &Parts) -> Option<AppName> {
    let verified = verify(app, &parts.method, &parts.extensions, &parts.headers);
    verified.map(|(peer, _)| peer)
}

/// Whether a request comes over a connection that peers may use: any, or one whose other end has shown a certificate.
fn is_certified(app: &App, extensions: &Extensions) -> bool {
    !app.relay.wants_certificates || extensions.get::<ShownCertificate>().is_some()
}

/// The peer that has signed a request, and the digest that its body must have.
fn verify(
    app: &App,
    method: &Method,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Option<(AppName, BodyDigest)> {
    if !is_certified(app, extensions) {
        return None;
    }
    let target =
        extensions.get::<OriginalUri>()?.0.path_and_query().map_or("/", |target| target.as_str());
    let token = bearer(headers).ok()??;
    let peer = claimed_sender(token)?;
    let digest = app.relay.client(&peer)?.verify(token, method, target)?;
    Some((peer, digest))
}
