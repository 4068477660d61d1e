//! TLS to RabbitMQ: whom we trust and who we are, from the files an address names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowlift_azkaban::tls::certificates;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::AmqpError;

/// The files; RabbitMQ's own clients know these words of the query as well (`cacertfile`, `certfile`, `keyfile`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Whom we trust, in place of those this machine knows.
    pub(crate) ca: Option<PathBuf>,
    /// Our own certificate.
    pub(crate) cert: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

/// The settings of the TLS library. Files are read anew for each connection, so certificates may be renewed meanwhile.
///
/// # Errors
/// [`AmqpError::File`].
pub(super) fn client(files: &Files) -> Result<Arc<ClientConfig>, AmqpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AmqpError::File(error.to_string()))?
        .with_root_certificates(roots(files.ca.as_deref())?);
    let config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let chain = read(cert, "the client certificate")?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(|error| {
                    AmqpError::File(format!(
                        "the client certificate {} and the key {} do not go together: {error}",
                        cert.display(),
                        key.display()
                    ))
                })?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(AmqpError::File(
                "a client certificate needs its key, and a key its certificate: --amqp-cert-file and --amqp-key-file go together".into(),
            ));
        }
    };
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, AmqpError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in read(path, "the CA file for RabbitMQ")? {
            roots.add(certificate).map_err(|error| {
                AmqpError::File(format!(
                    "the CA file for RabbitMQ {} holds a certificate that cannot be used: {error}",
                    path.display()
                ))
            })?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    Ok(roots)
}

fn read(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, AmqpError> {
    certificates(path).map_err(|reason| AmqpError::File(format!("{what} {reason}")))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, AmqpError> {
    let refused = |reason: String| AmqpError::File(format!("the key file {} {reason}", path.display()));
    let text = std::fs::read(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        refused("holds no private key, expected PEM (-----BEGIN PRIVATE KEY-----) without a password".into())
    })
}
