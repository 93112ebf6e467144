use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_rustls::TlsAcceptor;

use super::current::Shown;
use super::{ALPN, Current, TlsError, provider};
use crate::config::TlsFiles;

/// What accepts connections over TLS; `None` if the app has no certificate.
///
/// With `TLS_CLIENT_CA_FILE`, those who connect are asked for a certificate. Who shows none gets in, as people do; who
/// shows one that this authority has not signed does not.
pub fn server(files: &TlsFiles) -> Result<Option<Current<TlsAcceptor>>, TlsError> {
    let Some(identity) = &files.server else { return Ok(None) };
    let mut paths = vec![identity.certificate.clone(), identity.key.clone()];
    paths.extend(files.client_ca.clone());
    let shown = Some(Shown { file: 0, name: "server" });
    let made = Current::load("of this app", paths, shown, |files| {
        let refused = |error: rustls::Error| TlsError::Refused(format!("TLS: {error}"));
        let [certificate, key, authority @ ..] = files else {
            return Err(TlsError::Refused("a certificate and a key are needed".to_owned()));
        };
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(refused)?;
        let builder = match authority.first() {
            Some(authority) => builder.with_client_cert_verifier(client_verifier(authority)?),
            None => builder.with_no_client_auth(),
        };
        let chain = certificate.certificates()?;
        let mut config = builder
            .with_single_cert(chain, key.key()?)
            .map_err(|error| certificate.unsound(&error.to_string()))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    });
    made.map(Some)
}

fn client_verifier(
    authority: &super::pem::Pem<'_>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(authority.authorities()?);
    WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| authority.unsound(&error.to_string()))
}

/// That the other end of a connection has shown a certificate that `TLS_CLIENT_CA_FILE` has signed; an extension of
/// its requests.
#[derive(Clone, Copy, Debug)]
pub struct ShownCertificate(());

/// Whether the other end of a connection has shown a certificate.
///
/// None but a sound one comes so far; and without an authority nobody is asked for any.
pub fn shown(connection: &rustls::ServerConnection) -> Option<ShownCertificate> {
    let chain = connection.peer_certificates()?;
    (!chain.is_empty()).then_some(ShownCertificate(()))
}
