use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::response::Parts;
use http_body_util::combinators::Collect;
use http_body_util::{BodyExt, Limited};
use pin_project_lite::pin_project;

use super::service::Opener;
use crate::problem::Problem;

/// Bytes of a response that are buffered at most: a page of 100 messages of the greatest length fits.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

pin_project! {
    /// The response of a [`DecryptResponse`](super::DecryptResponse): the inner one, its body collected and opened.
    pub struct DecryptResponseFuture<F> {
        opener: Opener,
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Inner { #[pin] future: F },
        Collecting { parts: Option<Parts>, #[pin] body: Collect<Limited<Body>> },
    }
}

impl<F> DecryptResponseFuture<F> {
    pub(super) fn new(future: F, opener: Opener) -> Self {
        Self { opener, state: State::Inner { future } }
    }
}

impl<F, E> Future for DecryptResponseFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Inner { future } => {
                    let response = ready!(future.poll(context))?;
                    if !Opener::concerns(&response) {
                        return Poll::Ready(Ok(response));
                    }
                    let (parts, body) = response.into_parts();
                    let body = Limited::new(body, MAX_RESPONSE).collect();
                    this.state.set(State::Collecting { parts: Some(parts), body });
                }
                StateProjection::Collecting { parts, body } => {
                    let collected = ready!(body.poll(context));
                    let opened = match (mem::take(parts), collected) {
                        (Some(parts), Ok(body)) => this.opener.open(parts, body.to_bytes()),
                        _ => Problem::internal().into_response(),
                    };
                    return Poll::Ready(Ok(opened));
                }
            }
        }
    }
}
