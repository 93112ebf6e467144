use std::sync::Arc;

use tower_layer::Layer;

use super::keyring::Keyring;
use super::request::{EncryptRequest, EncryptRequestLayer};
use super::response::{DecryptResponse, DecryptResponseLayer};
use crate::time::Clock;

/// What [`EncryptionLayer`] makes of a service: the two halves around it.
pub type Encryption<S> = DecryptResponse<EncryptRequest<S>>;

/// Both halves in one: seals requests and opens responses.
#[derive(Clone, Debug)]
pub struct EncryptionLayer {
    request: EncryptRequestLayer,
    response: DecryptResponseLayer,
}

impl EncryptionLayer {
    /// Seals and opens with `keyring`; `clock` dates what is sealed.
    pub fn new(keyring: Arc<Keyring>, clock: Clock) -> Self {
        Self {
            request: EncryptRequestLayer::new(keyring.clone(), clock),
            response: DecryptResponseLayer::new(keyring),
        }
    }
}

impl<S> Layer<S> for EncryptionLayer {
    type Service = Encryption<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.response.layer(self.request.layer(inner))
    }
}
