//! The edge of a socket: frames leave it one by one, so no response layer sees them.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use http::header::UPGRADE;
use tower_layer::Layer;
use tower_service::Service;

use super::keyring::Keyring;
use super::response;

/// Hands a [`FrameOpener`] to requests that ask to become a socket, and to no others.
///
/// The socket route is mounted beneath it; mounted without, it has nothing to open its frames with.
#[derive(Clone, Debug)]
pub struct OpenFramesLayer {
    opener: FrameOpener,
}

impl OpenFramesLayer {
    /// Opens with every key of `keyring`.
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { opener: FrameOpener { keyring } }
    }
}

impl<S> Layer<S> for OpenFramesLayer {
    type Service = OpenFrames<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OpenFrames { inner, opener: self.opener.clone() }
    }
}

/// The service of [`OpenFramesLayer`].
#[derive(Clone, Debug)]
pub struct OpenFrames<S> {
    inner: S,
    opener: FrameOpener,
}

impl<S, B> Service<Request<B>> for OpenFrames<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(self.opener.clone());
        }
        self.inner.call(request)
    }
}

/// Opens the contents in the frames of one socket on their way out.
///
/// Whoever holds it can have a frame opened, but the result is an [`OpenFrame`], which is good for sending alone.
#[derive(Clone, Debug)]
pub struct FrameOpener {
    keyring: Arc<Keyring>,
}

impl FrameOpener {
    /// The frame as the client may see it: every [`SealedContent`](super::SealedContent) in its JSON opened, as the
    /// response layer does it for a body.
    pub fn open(&self, sealed: String) -> OpenFrame {
        match response::open_all(&self.keyring, sealed.as_bytes()) {
            // Opening replaces JSON by JSON, so it stays UTF-8.
            Some(opened) => OpenFrame(String::from_utf8(opened).unwrap_or_default()),
            None => OpenFrame(sealed),
        }
    }
}

/// A frame whose contents are in the clear. It has no `Debug` and is not to be kept: it goes into its socket.
pub struct OpenFrame(String);

impl OpenFrame {
    /// The text to send.
    pub fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::SealedContent;
    use crate::encryption::envelope::Binding;
    use crate::id::{MessageId, UserId};
    use crate::time::Timestamp;

    #[test]
    fn a_frame_is_opened_where_its_tokens_belong_and_left_alone_otherwise() {
        let keyring = Arc::new(Keyring::parse(&Keyring::generate_key()).unwrap());
        let edge = FrameOpener { keyring: keyring.clone() };
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let (message, sender) = (MessageId::mint(now), UserId::mint(now));
        let token = keyring.seal(&Binding::message(message, sender, 0), "hello \"you\"");
        let frame = |content: &SealedContent| {
            serde_json::json!({ "type": "message.created", "data": { "content": content } })
                .to_string()
        };
        let opened = |frame: String| -> serde_json::Value {
            serde_json::from_str(&edge.open(frame).into_text()).unwrap()
        };
        let here = SealedContent::new(message, sender, 0, token.clone());
        assert_eq!(opened(frame(&here))["data"]["content"], "hello \"you\"");
        let elsewhere = SealedContent::new(message, sender, 1, token);
        assert_eq!(opened(frame(&elsewhere))["data"]["content_error"]["code"], "moved");
        let plain = r#"{"type":"pong"}"#;
        assert_eq!(edge.open(plain.to_owned()).into_text(), plain);
    }

    #[test]
    fn only_requests_that_ask_for_a_socket_are_given_an_opener() {
        struct Probe;
        impl Service<Request<()>> for Probe {
            type Response = bool;
            type Error = ();
            type Future = std::future::Ready<Result<bool, ()>>;
            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
                Poll::Ready(Ok(()))
            }
            fn call(&mut self, request: Request<()>) -> Self::Future {
                std::future::ready(Ok(request.extensions().get::<FrameOpener>().is_some()))
            }
        }
        let keyring = Arc::new(Keyring::parse(&Keyring::generate_key()).unwrap());
        let mut service = OpenFramesLayer::new(keyring).layer(Probe);
        let plain = Request::new(());
        let upgrade = Request::builder().header(UPGRADE, "websocket").body(()).unwrap();
        assert_eq!(service.call(plain).into_inner(), Ok(false));
        assert_eq!(service.call(upgrade).into_inner(), Ok(true));
    }
}
