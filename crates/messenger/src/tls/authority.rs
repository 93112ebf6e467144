use std::path::Path;
use std::slice::from_ref;

use super::pem::Pem;
use super::{TlsError, current, provider};

/// The certificates of the authorities in a file, in PEM, for a library that begins TLS by itself.
pub fn authority(path: &Path) -> Result<Vec<u8>, TlsError> {
    let path = path.to_owned();
    let contents = current::read(from_ref(&path))?;
    let bytes = contents.into_iter().next().unwrap_or_default().to_vec();
    Pem { path: &path, bytes: &bytes }.authorities()?;
    Ok(bytes)
}

/// Has the libraries that begin TLS by themselves use the ciphers of all others.
pub fn choose_ciphers() {
    // It fails where that has been done already.
    let _ = provider().as_ref().clone().install_default();
}
