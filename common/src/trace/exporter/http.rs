//! The HTTP client the library sends with: ours, so that there is one way of TLS in these programs.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::redirect;

/// One request and its answer.
const WITHIN: Duration = Duration::from_secs(3);
/// A collector says little; more is not read.
const ANSWER: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    /// Why a request got no answer, which the library does not pass on.
    reason: Arc<Mutex<Option<String>>>,
}

impl Http {
    pub(super) fn new(url: &str, reason: Arc<Mutex<Option<String>>>) -> Result<Self, String> {
        // fails if the program has chosen one already, which is as good
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("flowlift/", env!("CARGO_PKG_VERSION")))
            // the headers may hold a secret, which is for this collector alone
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(WITHIN);
        if url.starts_with("http:") {
            // a small container may hold no certificates at all, and needs none for this
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| innermost(&error))?;
        Ok(Self { client, reason })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.client.execute(request.try_into()?).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            std::mem::swap(headers, answer.headers_mut());
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > ANSWER {
                return Err("its answer is too large".into());
            }
            body.extend_from_slice(&piece);
        }
        Ok(response.body(body.into())?)
    }
}

impl HttpClient for Http {
    // as the trait's macro writes it
    fn send_bytes<'client, 'sending>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
    where
        'client: 'sending,
        Self: 'sending,
    {
        Box::pin(async move {
            let sent = self.send(request).await;
            let told = sent.as_ref().err().map(|error| innermost(error.as_ref()));
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = told;
            sent
        })
    }
}

/// The words of the innermost cause; the outer ones only say that sending failed, and name the address.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
