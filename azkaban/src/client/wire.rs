//! One HTTP request to Azkaban and its whole answer, or how far it got.
//!
//! Every request closes its connection: Azkaban gives a thread to each open one, and 24 idle ones stop a server. No
//! redirect is followed (Azkaban says "failed" by redirecting), no cookie is kept (a stale one hides a good session).

use std::error::Error as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use reqwest::header::{CONNECTION, HeaderMap, HeaderValue};
use reqwest::{Certificate, RequestBuilder, Response, Url, redirect};

use super::answer::Answer;
use super::error::{ClientError, Result};
use super::{ClientConfig, Watch, text_of};
use crate::tls::{self, PlainWarning, Trouble};

static PLAIN: PlainWarning = PlainWarning::new("Azkaban", "https");

/// The largest answer that is no zip; 10,000 flows are listed in 360 kB.
pub(super) const ANSWER_LIMIT: usize = 64 << 20;

/// The HTTP side of a client.
#[derive(Clone)]
pub(super) struct Wire {
    http: reqwest::Client,
    url: String,
    timeout: Duration,
    watch: Option<Watch>,
}

/// How a request ended without an answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection.
    Unreachable(String),
    /// The time was over.
    TimedOut(Duration),
    /// The connection broke.
    Broken(String),
    /// The answer is larger than this.
    TooLarge(usize),
}

impl Wire {
    pub(super) fn new(config: &ClientConfig) -> Result<Self> {
        let url = checked(&config.url)?;
        // fails if the program has chosen one already, which is as good
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("flowlift/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .http1_only()
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(config.connect_timeout);
        if url.starts_with("http:") {
            // a small container may hold no certificates at all, and needs none for this
            builder = builder.tls_certs_only([]);
            let parsed = Url::parse(&url).ok();
            let host = parsed.as_ref().and_then(Url::host_str).unwrap_or_default();
            PLAIN.give(host);
        } else if let Some(path) = &config.ca_file {
            builder = builder.tls_certs_only(authorities(path)?);
        }
        let http = builder.build().map_err(|error| {
            ClientError::Setup(format!(
                "cannot make an HTTP client for Azkaban: {}",
                innermost(&error)
            ))
        })?;
        Ok(Self {
            http,
            url,
            timeout: config.request_timeout,
            watch: config.watch.clone(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).query(query)
    }

    /// A POST; the header makes a lost session a JSON answer in place of a page.
    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.url))
            .header("x-requested-with", "XMLHttpRequest")
    }

    /// Sends a request with the common time limit; its answer may be as large as `limit`.
    pub(super) async fn ask(
        &self,
        call: &'static str,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<Answer> {
        self.send(call, request, self.timeout, limit)
            .await
            .map_err(|failure| self.error(call, failure))
    }

    /// Sends a request with the common time limit and reads its answer, or the beginning of one that is longer than `upto`; then
    /// the rest is to be read yet.
    pub(super) async fn begin(
        &self,
        call: &'static str,
        request: RequestBuilder,
        upto: usize,
    ) -> Result<(Answer, Option<Response>)> {
        self.read(call, request, self.timeout, upto)
            .await
            .map_err(|failure| self.error(call, failure))
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(
        &self,
        call: &'static str,
        request: RequestBuilder,
        timeout: Duration,
        limit: usize,
    ) -> Result<Answer, Failure> {
        match self.read(call, request, timeout, limit).await? {
            (answer, None) => Ok(answer),
            (_, Some(_)) => Err(Failure::TooLarge(limit)),
        }
    }

    async fn read(
        &self,
        call: &'static str,
        request: RequestBuilder,
        timeout: Duration,
        upto: usize,
    ) -> Result<(Answer, Option<Response>), Failure> {
        let begun = Instant::now();
        let answered = read(request, timeout, upto).await;
        if let Some(Watch(hear)) = &self.watch {
            hear(call, begun.elapsed());
        }
        answered
    }

    /// A failure of a call whose repetition does no harm.
    pub(super) fn error(&self, call: &'static str, failure: Failure) -> ClientError {
        match failure {
            Failure::Unreachable(reason) => ClientError::Unreachable {
                url: self.url.clone(),
                reason,
            },
            Failure::TimedOut(after) => ClientError::TimedOut { call, after },
            Failure::Broken(reason) => ClientError::Broken { call, reason },
            Failure::TooLarge(limit) => ClientError::TooLarge { call, limit },
        }
    }
}

/// Reads until the answer ends or is longer than `upto`; then what is left of it comes back too.
async fn read(
    request: RequestBuilder,
    timeout: Duration,
    upto: usize,
) -> Result<(Answer, Option<Response>), Failure> {
    let failed = |error: reqwest::Error| match error {
        error if error.is_connect() => {
            Failure::Unreachable(untrusted(&error).unwrap_or_else(|| innermost(&error)))
        }
        error if error.is_timeout() => Failure::TimedOut(timeout),
        error => Failure::Broken(innermost(&error)),
    };
    let mut response = request.timeout(timeout).send().await.map_err(failed)?;
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    let mut body = BytesMut::new();
    let mut more = true;
    while more && body.len() <= upto {
        let piece = response.chunk().await.map_err(failed)?;
        more = piece.is_some();
        body.extend_from_slice(&piece.unwrap_or_default());
    }
    let answer = Answer {
        status,
        headers,
        body: body.freeze(),
    };
    Ok((answer, more.then_some(response)))
}

/// The address without a trailing slash, or what is wrong with it. A refused one is not repeated: it may hold a password.
fn checked(url: &str) -> Result<String> {
    let refuse = |why: &str| Err(ClientError::Setup(format!("the Azkaban URL {why}")));
    let parsed = match Url::parse(url.trim()) {
        Ok(parsed) => parsed,
        Err(error) => {
            return refuse(&format!(
                "cannot be read ({error}); write it like http://azkaban.example:8081"
            ));
        }
    };
    if !matches!(parsed.scheme(), "http" | "https") {
        return refuse("must start with http:// or https://");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return refuse("must not hold user or password; set them by themselves");
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return refuse("must end with the host, port or path, without '?' or '#'");
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

/// The certificates of a file, as the HTTP library wants them.
fn authorities(path: &Path) -> Result<Vec<Certificate>> {
    let refused = |reason: String| ClientError::Setup(format!("the CA file for Azkaban {reason}"));
    let found = tls::certificates(path).map_err(refused)?;
    let taken = found.iter().map(|certificate| Certificate::from_der(certificate));
    taken
        .collect::<Result<_, _>>()
        .map_err(|error| refused(format!("{}: {}", path.display(), innermost(&error))))
}

/// What was wrong with the certificate, if that was it.
fn untrusted(error: &reqwest::Error) -> Option<String> {
    let host = error.url().and_then(Url::host_str).unwrap_or("Azkaban");
    Some(Trouble::of(error)?.words(host, "--azkaban-ca-file"))
}

/// The words of the innermost cause: the outer ones only say that sending failed, and may show the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(next) = cause.and_then(|cause| cause.source()) {
        cause = Some(next);
    }
    cause.map_or_else(|| text_of(error), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_loses_its_trailing_slash_and_keeps_its_path() {
        assert_eq!(checked("http://h:8081/").unwrap(), "http://h:8081");
        assert_eq!(checked(" https://h/azkaban// ").unwrap(), "https://h/azkaban");
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_with_a_sentence_and_never_repeated() {
        for (url, words) in [
            ("h:8081", "must start with http:// or https://"),
            ("nothing", "cannot be read"),
            ("ftp://h", "must start with http:// or https://"),
            ("http://bob:s3cret@h", "must not hold user or password"),
            ("http://h/?session.id=s3cret", "without '?'"),
        ] {
            let error = checked(url).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("s3cret"), "{error}");
        }
    }
}
