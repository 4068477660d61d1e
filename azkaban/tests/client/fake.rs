//! A server that keeps what it was asked and answers by a closure.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::{Client, ClientConfig};

pub(crate) const PASSWORD: &str = "pa55-w0rd-of-nobody";

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    params: HashMap<String, String>,
}

impl Seen {
    async fn of(request: Request) -> Self {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 256 << 20).await.unwrap_or_default();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let multipart = |line: &Bytes| {
            // only the short fields before the file are looked at
            let text = String::from_utf8_lossy(&line[..line.len().min(2000)]).into_owned();
            let field = |name: &str| {
                let rest = text.split_once(&format!("name=\"{name}\"\r\n\r\n"))?.1;
                Some((name.to_owned(), rest.split_once("\r\n")?.0.to_owned()))
            };
            ["session.id", "ajax", "project"]
                .into_iter()
                .filter_map(field)
                .collect()
        };
        let kind = head
            .headers
            .get("content-type")
            .map_or("", |value| value.to_str().unwrap());
        let params = match kind {
            kind if kind.starts_with("multipart/form-data") => multipart(&body),
            _ => {
                let text = format!("http://x/?{query}&{}", String::from_utf8_lossy(&body));
                let url = reqwest::Url::parse(&text).unwrap();
                url.query_pairs()
                    .map(|(key, value)| (key.into_owned(), value.into_owned()))
                    .collect()
            }
        };
        Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query,
            headers: head.headers,
            body,
            params,
        }
    }

    /// A parameter of the query, the form or the multipart form.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    pub(crate) fn session(&self) -> &str {
        self.param("session.id")
    }

    pub(crate) fn is_login(&self) -> bool {
        self.param("action") == "login"
    }
}

/// The server; it ends with the test's runtime.
pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    logins: Arc<AtomicUsize>,
}

impl Fake {
    /// Gives every login a session `s1`, `s2`, ... and leaves everything else to the script.
    pub(crate) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Seen) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response> + Send,
    {
        let ok = |number: usize| {
            let body = format!("{{\n  \"session.id\" : \"s{number}\",\n  \"status\" : \"success\"\n}}");
            (
                [(
                    "set-cookie",
                    format!("azkaban.browser.session.id=s{number};Path=/"),
                )],
                body,
            )
                .into_response()
        };
        Self::with_login(ok, script).await
    }

    /// Answers the n-th login by `login` and everything else by the script.
    pub(crate) async fn with_login<L, F, R>(login: L, script: F) -> Self
    where
        L: Fn(usize) -> Response + Clone + Send + Sync + 'static,
        F: Fn(Seen) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response> + Send,
    {
        let (seen, logins) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (list, count) = (Arc::clone(&seen), Arc::clone(&logins));
        let handler = move |request: Request| {
            let (list, count, login, script) = (
                Arc::clone(&list),
                Arc::clone(&count),
                login.clone(),
                script.clone(),
            );
            async move {
                let seen = Seen::of(request).await;
                list.lock().unwrap().push(seen.clone());
                match seen.is_login() {
                    true => login(count.fetch_add(1, Ordering::SeqCst) + 1),
                    false => script(seen).await,
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(handler);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, logins }
    }

    pub(crate) fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// What came, logins included.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What came but logins.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| !seen.is_login()).collect()
    }

    pub(crate) fn client(&self, sessions: usize) -> Client {
        Client::new(ClientConfig {
            sessions,
            ..config(&self.url)
        })
        .unwrap()
    }
}

pub(crate) fn config(url: &str) -> ClientConfig {
    ClientConfig {
        // nothing in these tests waits for a limit of time to pass
        request_timeout: Duration::from_secs(3600),
        connect_timeout: Duration::from_secs(3600),
        ..ClientConfig::new(url, "bob", PASSWORD)
    }
}

pub(crate) fn project() -> ProjectName {
    ProjectName::new("p1").unwrap()
}

pub(crate) fn reply(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

pub(crate) fn id_answer() -> Response {
    reply(200, "{\n  \"project\" : \"p1\",\n  \"projectId\" : 7\n}")
}

pub(crate) fn uploaded_answer() -> Response {
    reply(200, "{\n  \"projectId\" : \"7\",\n  \"version\" : \"2\"\n}")
}

/// How each door of Azkaban says that it does not know the session.
pub(crate) fn lost(seen: &Seen) -> Response {
    if seen.headers["content-type"]
        .to_str()
        .unwrap_or_default()
        .starts_with("multipart/")
    {
        return reply(200, "Login error. Need username and password");
    }
    match seen.headers.contains_key("x-requested-with") {
        true => reply(
            200,
            r#"{"action":"login","message":"Invalid Session. Need to re-login","status":"error"}"#,
        ),
        false => login_page(),
    }
}

pub(crate) fn login_page() -> Response {
    reply(
        200,
        "\n\n<!DOCTYPE html>\n<html><form id=\"login-form\"><input type=\"password\" name=\"password\"></form></html>",
    )
}

pub(crate) fn session_error() -> Response {
    reply(200, "{\n  \"error\" : \"session\"\n}")
}
