use std::sync::Arc;

use tower_layer::Layer;

use super::DecryptResponse;
use crate::encryption::Keyring;

/// Opens the [`SealedContent`](crate::encryption::SealedContent) in JSON response bodies after the handler.
///
/// A token that does not open where it stands becomes `"content": null` with a `content_error` beside it, is
/// counted in `messaging_unreadable_total`, and breaks nothing else on its page. Responses that are not JSON, are
/// empty or switch protocols pass untouched. It sets `Content-Length` anew and drops `ETag`, which would be that
/// of the ciphertext.
#[derive(Clone, Debug)]
pub struct DecryptResponseLayer {
    keyring: Arc<Keyring>,
}

impl DecryptResponseLayer {
    /// Opens with every key of `keyring`.
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }
}

impl<S> Layer<S> for DecryptResponseLayer {
    type Service = DecryptResponse<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DecryptResponse::new(inner, self.keyring.clone())
    }
}
