use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::Request;
use http::request::Parts;
use http_body_util::combinators::Collect;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::service::Sealer;
use crate::encryption::MAX_REQUEST;
use crate::problem::Problem;

pin_project! {
    /// The response of an [`EncryptRequest`](super::EncryptRequest): the body collected and sealed, then the inner service.
    pub struct EncryptRequestFuture<S>
    where
        S: Service<Request<Body>>,
    {
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateReplaced]
    enum State<S, F> {
        Collecting { waiting: Waiting<S>, #[pin] body: Collect<Limited<Body>> },
        Inner { #[pin] future: F },
        Refused { problem: Option<Problem> },
    }
}

struct Waiting<S>(Option<(S, Sealer, Parts)>);

impl<S: Service<Request<Body>>> EncryptRequestFuture<S> {
    pub(super) fn pass(future: S::Future) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn refuse(problem: Problem) -> Self {
        Self { state: State::Refused { problem: Some(problem) } }
    }

    pub(super) fn collect(inner: S, sealer: Sealer, parts: Parts, body: Body) -> Self {
        let body = Limited::new(body, MAX_REQUEST).collect();
        Self { state: State::Collecting { waiting: Waiting(Some((inner, sealer, parts))), body } }
    }
}

impl<S> Future for EncryptRequestFuture<S>
where
    S: Service<Request<Body>, Response = Response>,
{
    type Output = Result<Response, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Inner { future } => return future.poll(context),
                StateProjection::Refused { problem } => {
                    let problem = mem::take(problem).unwrap_or_else(Problem::internal);
                    return Poll::Ready(Ok(problem.into_response()));
                }
                StateProjection::Collecting { waiting, body } => {
                    let body = ready!(body.poll(context));
                    proceed(mem::take(&mut waiting.0), body)
                }
            };
            state.as_mut().project_replace(next);
        }
    }
}

type Collected = Result<http_body_util::Collected<bytes::Bytes>, axum_core::BoxError>;

/// What follows once the body is there.
fn proceed<S>(waiting: Option<(S, Sealer, Parts)>, body: Collected) -> State<S, S::Future>
where
    S: Service<Request<Body>>,
{
    let Some((mut inner, sealer, parts)) = waiting else {
        return State::Refused { problem: None };
    };
    let outcome = match body {
        Ok(body) => sealer.seal(parts, body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::too_large(MAX_REQUEST)),
        Err(_) => Err(Problem::malformed("The body broke off.")),
    };
    match outcome {
        Ok(request) => State::Inner { future: inner.call(request) },
        Err(problem) => State::Refused { problem: Some(problem) },
    }
}
