//! Where totals go: a file, a Pushgateway. Whoever cannot be told is no reason for a run to fail.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, Url, header, redirect};

use super::{Ended, LAST_SUCCESS, Totals};
use crate::cli::MetricsArgs;
use crate::exit::Failure;

/// How long a Pushgateway may take: the run is over, and people wait for its exit code.
const LIMIT: Duration = Duration::from_secs(10);
/// How much of its complaint is repeated.
const SHOWN: usize = 200;
/// Where a Pushgateway that is named by its host alone takes the totals.
const GROUP: &str = "/metrics/job/flowlift";

/// The places that were named.
#[derive(Debug, Default)]
pub struct Sinks {
    file: Option<PathBuf>,
    gateway: Option<Url>,
}

/// A place that did not take them.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The file.
    #[error("the run's metrics could not be written to {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The Pushgateway, named without user and password.
    #[error("the Pushgateway at {gateway} did not take the run's metrics: {reason}")]
    Gateway {
        /// host:port.
        gateway: String,
        /// Why.
        reason: String,
    },
    /// A mistake in the series.
    #[error("the run's metrics cannot be written as text: {0}")]
    Text(#[from] prometheus::Error),
}

impl Sinks {
    /// Of the flags; a mistyped address is told before anything is queued.
    ///
    /// # Errors
    /// [`Failure::Usage`]. The address is not repeated: it may hold a password.
    pub fn of(args: &MetricsArgs) -> Result<Self, Failure> {
        let said = args.metrics_push.as_deref().map(str::trim);
        let gateway = said.filter(|url| !url.is_empty()).map(address).transpose()?;
        let file = args.metrics_textfile.clone();
        Ok(Self {
            file: file.filter(|path| !path.as_os_str().is_empty()),
            gateway,
        })
    }

    /// Tells all of them; who could not be told.
    pub async fn tell(&self, totals: &Totals, good: bool) -> Vec<Trouble> {
        let ended = totals.ended(good);
        let mut troubles = Vec::new();
        if let Some(path) = &self.file {
            troubles.extend(to_file(&ended, path).err());
        }
        if let Some(gateway) = &self.gateway {
            troubles.extend(to_gateway(&ended, gateway).await.err());
        }
        troubles
    }
}

fn address(text: &str) -> Result<Url, Failure> {
    let refuse = |why: &str| Failure::Usage(format!("the address of --metrics-push {why}"));
    let mut url: Url = text.parse().map_err(|error| {
        refuse(&format!(
            "cannot be read ({error}); write it like http://gateway:9091"
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("must start with http:// or https://"));
    }
    if url.path().trim_matches('/').is_empty() {
        url.set_path(GROUP);
    }
    Ok(url)
}

fn to_file(ended: &Ended, path: &Path) -> Result<(), Trouble> {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let text = ended.text(last_success(&before))?;
    replace(path, &text).map_err(|source| Trouble::File {
        path: path.to_owned(),
        source,
    })
}

/// Writes beside the file and renames. node_exporter has a user of its own, who must be able to read it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut beside = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let readable = std::fs::Permissions::from_mode(0o644);
    beside.as_file().set_permissions(readable)?;
    beside.write_all(text.as_bytes())?;
    beside.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The last success that a file tells of.
fn last_success(text: &str) -> Option<f64> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(LAST_SUCCESS));
    values.find_map(|value| value.trim().parse().ok())
}

async fn to_gateway(ended: &Ended, gateway: &Url) -> Result<(), Trouble> {
    let text = ended.text(None)?;
    push(gateway, ended.good, text).await.map_err(|reason| {
        let port = gateway.port_or_known_default().unwrap_or_default();
        Trouble::Gateway {
            gateway: format!("{}:{port}", gateway.host_str().unwrap_or_default()),
            reason,
        }
    })
}

async fn push(gateway: &Url, good: bool, text: String) -> Result<(), String> {
    // fails if the program has chosen one already, which is as good
    let _ = rustls::crypto::ring::default_provider().install_default();
    // the address may hold a password
    let without_address = |error: reqwest::Error| innermost(&error.without_url());
    let mut builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(LIMIT);
    if gateway.scheme() == "http" {
        // a small container may hold no certificates at all, and needs none for this
        builder = builder.tls_certs_only([]);
    }
    // PUT replaces the whole group, POST leaves what it does not name: the last success
    let method = if good { Method::PUT } else { Method::POST };
    let request = builder
        .build()
        .map_err(without_address)?
        .request(method, gateway.clone())
        .header(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)
        .body(text);
    let answer = request.send().await.map_err(without_address)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let said = answer.text().await.unwrap_or_default();
    let said: String = said.trim().chars().take(SHOWN).collect();
    Err(format!("{status} {said}").trim_end().to_owned())
}

/// The words of the innermost cause; the outer ones only say that sending failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
