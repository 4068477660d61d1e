//! What can be wrong with TLS, in sentences; Azkaban's client and the connection to RabbitMQ share them.

use std::error::Error;
use std::path::Path;
use std::sync::Once;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

/// Why no encrypted connection came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody we trust signed the server's certificate.
    Unknown,
    /// The server's certificate is over.
    Expired,
    /// The server's certificate counts only later.
    NotYet,
    /// The server's certificate is another host's.
    WrongName,
    /// What answers there speaks no TLS.
    NoTls,
    /// The server wants a certificate of ours, or another one.
    OursRefused,
    /// Something else about the server's certificate, in the library's words.
    Other(String),
}

impl Trouble {
    /// Finds it among the causes of an error.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<TlsError>() {
                return Some(Self::told(tls));
            }
            // an error of the system names as its cause what is below its own content
            let content = error
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref);
            cause = match content {
                Some(content) => Some(content as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    }

    fn told(error: &TlsError) -> Self {
        use AlertDescription as Alert;
        match error {
            TlsError::InvalidCertificate(certificate) => match certificate {
                // a bad signature is what another CA of the same name looks like: one that was made anew
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Unknown,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYet,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName
                }
                _ => Self::Other(error.to_string()),
            },
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NoTls,
            TlsError::AlertReceived(
                Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied,
            ) => Self::OursRefused,
            _ => Self::Other(error.to_string()),
        }
    }

    /// The clause for people; `ca_setting` names the setting for an own CA.
    #[must_use]
    pub fn words(&self, host: &str, ca_setting: &str) -> String {
        match self {
            Self::Unknown => format!(
                "the certificate of {host} is signed by nobody this machine knows; {ca_setting} names your own CA"
            ),
            Self::Expired => format!("the certificate of {host} has expired"),
            Self::NotYet => {
                format!("the certificate of {host} is not valid yet; is the clock of this machine right?")
            }
            Self::WrongName => format!("the certificate that answers at {host} is for another name"),
            Self::NoTls => format!("{host} speaks no TLS on this port"),
            Self::OursRefused => {
                format!("{host} wants a client certificate and does not take the one it got, or got none")
            }
            Self::Other(words) => format!("no encrypted connection to {host}: {words}"),
        }
    }
}

/// Whether a host is this very machine: what goes there passes no network.
#[must_use]
pub fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<std::net::IpAddr>()
        .map_or(host == "localhost" || host.ends_with(".localhost"), |ip| {
            ip.is_loopback()
        })
}

/// Warns once in a program's life that a password goes to another machine for everybody to read.
#[derive(Debug)]
pub struct PlainWarning {
    said: Once,
    server: &'static str,
    better: &'static str,
}

impl PlainWarning {
    /// `server` is what the password is for, `better` the scheme of an address that would hide it.
    #[must_use]
    pub const fn new(server: &'static str, better: &'static str) -> Self {
        Self {
            said: Once::new(),
            server,
            better,
        }
    }

    /// Warns, unless the host is this machine.
    pub fn give(&self, host: &str) {
        let Self { server, better, .. } = self;
        if !is_here(host) {
            self.said.call_once(|| {
                tracing::warn!(
                    "the password for {server} goes to {host} unencrypted; {better}:// would hide it"
                );
            });
        }
    }
}

/// The certificates of a PEM file; the error is a sentence that names the file and what was expected of it.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let path_text = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{path_text} cannot be read: {error}"))?;
    let expected = "expected PEM (-----BEGIN CERTIFICATE-----)";
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{path_text} holds no usable certificate, {expected}: {error}"))?;
    if found.is_empty() {
        return Err(format!("{path_text} holds no certificate, {expected}"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_below_the_errors_of_others() {
        let tls = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = std::io::Error::other(std::io::Error::new(std::io::ErrorKind::InvalidData, tls));
        assert_eq!(Trouble::of(&error), Some(Trouble::Unknown));
        let tls = TlsError::AlertReceived(AlertDescription::CertificateRequired);
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, tls);
        assert_eq!(Trouble::of(&error), Some(Trouble::OursRefused));
        assert_eq!(Trouble::of(&std::io::Error::other("gone")), None);
        assert_eq!(
            Trouble::Unknown.words("rabbit", "--amqp-ca-file"),
            "the certificate of rabbit is signed by nobody this machine knows; --amqp-ca-file names your own CA"
        );
    }

    #[test]
    fn a_file_without_certificates_is_told_with_what_was_expected() {
        let path = std::env::temp_dir().join(format!("flowlift-no-ca-{}.pem", std::process::id()));
        std::fs::write(&path, "nothing").unwrap();
        let error = certificates(&path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(
            error.ends_with("holds no certificate, expected PEM (-----BEGIN CERTIFICATE-----)"),
            "{error}"
        );
        assert!(
            certificates(&path)
                .unwrap_err()
                .contains("cannot be read: No such file")
        );
    }
}
