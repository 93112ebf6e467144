use axum::extract::{FromRequest, OriginalUri, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode};
use shared::address::AppName;
use shared::problem::Problem;

use super::MAX_BODY;
use super::client::TIME;
use super::service_token::{BodyDigest, Refusal, claimed_sender};
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
    type Rejection = Refused;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Refused> {
        let extensions = request.extensions();
        if !is_certified(app, extensions) {
            let why = "Peers have to show a certificate that TLS_CLIENT_CA_FILE has signed.";
            return Err(Problem::forbidden("certificate_required", why).into());
        }
        let (peer, digest) = verify(app, request.method(), extensions, request.headers())
            .map_err(|refusal| refuse(app, &refusal))?;
        let body = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::too_large(MAX_BODY)
            } else {
                Problem::malformed("The body broke off.")
            }
        })?;
        if !digest.matches(&body) {
            return Err(refuse(app, &Refusal::Unsigned));
        }
        app.relay.heard(&peer);
        Ok(Self { peer, body })
    }
}

/// The answer to a request of a peer that is refused.
pub struct Refused {
    problem: Problem,
    /// What time it is here, signed, for a peer that has signed its request at another time.
    time: Option<String>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, time: None }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.time.map(|time| [(TIME, time)]), self.problem).into_response()
    }
}

fn refuse(app: &App, refusal: &Refusal) -> Refused {
    let Refusal::Skewed(skew) = refusal else {
        let why = "The request is not signed by a known peer.";
        return Problem::unauthenticated("invalid_service_token", why).into();
    };
    tracing::debug!(peer = %skew.peer, "a request was signed at another time than it is here");
    let why =
        "The request was signed at another time than it is here; Relay-Time says what time it is.";
    let time = app.relay.client(&skew.peer).and_then(|client| client.time(skew).ok());
    Refused { problem: Problem::unauthenticated("clock_skew", why), time }
}

/// The peer that has signed a request, whatever its body.
pub fn signer(app: &App, parts: &Parts) -> Option<AppName> {
    let verified = verify(app, &parts.method, &parts.extensions, &parts.headers);
    verified.ok().map(|(peer, _)| peer)
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
) -> Result<(AppName, BodyDigest), Refusal> {
    if !is_certified(app, extensions) {
        return Err(Refusal::Unsigned);
    }
    let uri = extensions.get::<OriginalUri>().ok_or(Refusal::Unsigned)?;
    let target = uri.0.path_and_query().map_or("/", |target| target.as_str());
    let token = bearer(headers).ok().flatten().ok_or(Refusal::Unsigned)?;
    let peer = claimed_sender(token).ok_or(Refusal::Unsigned)?;
    let client = app.relay.client(&peer).ok_or(Refusal::Unsigned)?;
    let digest = client.verify(token, method, target)?;
    Ok((peer, digest))
}
