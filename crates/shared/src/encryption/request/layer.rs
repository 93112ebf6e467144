use std::sync::Arc;

use tower_layer::Layer;

use super::EncryptRequest;
use crate::encryption::Keyring;
use crate::time::Clock;

/// Seals the top-level `content` of JSON request bodies before the handler sees them.
///
/// It mints the id of a new message, binds the token to it and to the [`Caller`](super::Caller), and hands what
/// the handler must know to it as a [`Sealed`](super::Sealed) extension. A `PUT` or `PATCH` whose path ends in an id is an
/// edit of that message. Bodies that are not JSON pass untouched, for the handler to refuse.
///
/// Beside it goes [`Terms`](crate::encryption::Terms), keyed hashes of the words of the text, by which it is found. Where
/// messages are listed, the words of a `search` in the query are replaced by theirs, as
/// [`SearchTerms`](crate::encryption::SearchTerms).
///
/// It answers itself, with a problem, where a text could get past it: 400 for what is not JSON, for a `content`
/// that stands twice or is not a string, or for a search that cannot find anything; 401 without a caller; 413 above
/// [`MAX_REQUEST`](crate::encryption::MAX_REQUEST) bytes; 415 for a body with a content encoding.
#[derive(Clone, Debug)]
pub struct EncryptRequestLayer {
    keyring: Arc<Keyring>,
    clock: Clock,
}

impl EncryptRequestLayer {
    /// Seals with the first key of `keyring`; `clock` dates ids and revisions.
    pub fn new(keyring: Arc<Keyring>, clock: Clock) -> Self {
        Self { keyring, clock }
    }
}

impl<S> Layer<S> for EncryptRequestLayer {
    type Service = EncryptRequest<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EncryptRequest::new(inner, self.keyring.clone(), self.clock.clone())
    }
}
