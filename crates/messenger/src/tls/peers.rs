use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{ClientConfig, RootCertStore};

use super::current::Shown;
use super::pem::Pem;
use super::{ALPN, Current, TlsError, provider};
use crate::config::{Peer, TlsFiles};

/// How the app talks TLS to its peers, and what `finish` makes of that.
pub fn peers<T: Clone + Send + Sync + 'static>(
    files: &TlsFiles,
    peers: &[Peer],
    finish: impl Fn(ClientConfig) -> Result<T, TlsError> + Send + Sync + 'static,
) -> Result<Current<T>, TlsError> {
    let has_authority = files.peer_ca.is_some();
    let encrypted = peers.iter().any(|peer| peer.url.scheme() == "https");
    let mut paths: Vec<PathBuf> = files.peer_ca.iter().cloned().collect();
    if let Some(identity) = &files.peer_client {
        paths.extend([identity.certificate.clone(), identity.key.clone()]);
    }
    let file = usize::from(has_authority);
    let shown = files.peer_client.as_ref().map(|_| Shown { file, name: "client" });
    Current::load("for peers", paths, shown, move |files| {
        let (authority, identity) = files.split_at(file);
        let verifier = match authority.first() {
            Some(authority) => Some(given(authority)?),
            None if encrypted => Some(system()?),
            None => None,
        };
        finish(config(verifier, identity)?)
    })
}

/// How the app talks TLS to a server that is no peer: one whom the system trusts. Where nothing is to be `encrypted`, the
/// system need not have any authorities.
pub fn to_others(encrypted: bool) -> Result<ClientConfig, TlsError> {
    config(encrypted.then(system).transpose()?, &[])
}

fn config(
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    identity: &[Pem<'_>],
) -> Result<ClientConfig, TlsError> {
    let refused = |error: rustls::Error| TlsError::Refused(format!("TLS: {error}"));
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(refused)?;
    let builder = match verifier {
        // That is only what it is called: certificates are verified here as ever.
        Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
        // No peer is asked over TLS, and nobody is trusted; so the system need not have any authorities.
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = match identity {
        [certificate, key] => builder
            .with_client_auth_cert(certificate.certificates()?, key.key()?)
            .map_err(|error| certificate.unsound(&error.to_string()))?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session shows no certificate, so one that has expired since would go unnoticed.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Certificates that one of these authorities has signed.
fn given(authority: &Pem<'_>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let roots = Arc::new(authority.authorities()?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    verifier
        .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
        .map_err(|error| authority.unsound(&error.to_string()))
}

/// Certificates that the system trusts.
fn system() -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let verifier = rustls_platform_verifier::Verifier::new(provider()).map_err(|error| {
        TlsError::Refused(format!(
            "the system's certificates cannot be had ({error}); install them, or, for peers, name an authority in PEER_CA_FILE"
        ))
    })?;
    Ok(Arc::new(verifier))
}
