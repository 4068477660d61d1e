//! An Azkaban to talk to: the stand-in in this process, or the server that `AZKABAN_URL` names.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use azkaban_standin::{Options, Running, Standin, User};

use super::http::{Part, Reply, Request, encode};

/// A server and an administrator's session on it.
pub(crate) struct Azkaban {
    pub(crate) addr: SocketAddr,
    pub(crate) session: String,
    standin: Option<Running>,
}

impl Azkaban {
    /// The server under test.
    pub(crate) async fn start() -> Self {
        match std::env::var("AZKABAN_URL") {
            Ok(url) => {
                let host = url
                    .strip_prefix("http://")
                    .expect("AZKABAN_URL starts with http://")
                    .trim_end_matches('/');
                let addr = tokio::net::lookup_host(host)
                    .await
                    .expect("AZKABAN_URL has a host and a port")
                    .next()
                    .unwrap();
                let session = login(addr, "azkaban").await;
                Self {
                    addr,
                    session,
                    standin: None,
                }
            }
            Err(_) => Self::standin(Options::default()).await,
        }
    }

    /// The stand-in, always.
    pub(crate) async fn standin(options: Options) -> Self {
        let users = vec![
            User::admin("azkaban", "azkaban"),
            User::plain("metrics", "metrics"),
        ];
        let standin = Standin::start(Options { users, ..options })
            .await
            .expect("a port is free");
        let session = login(standin.addr, "azkaban").await;
        Self {
            addr: standin.addr,
            session,
            standin: Some(standin),
        }
    }

    /// The running stand-in, for what only it has.
    pub(crate) fn own(&self) -> &Running {
        self.standin
            .as_ref()
            .expect("this test runs on the stand-in only")
    }

    /// Stops the stand-in and waits until nothing of it is left.
    pub(crate) async fn stop(self) {
        self.standin
            .expect("only the stand-in can be stopped")
            .stop()
            .await;
    }

    pub(crate) async fn send(&self, request: Request) -> Reply {
        request.send(self.addr).await
    }

    /// A GET with the session.
    pub(crate) async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(Request::get(self.target(path, fields))).await
    }

    /// A form with the session.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(Request::form(
            path,
            &[&[("session.id", self.session.as_str())], fields].concat(),
        ))
        .await
    }

    fn target(&self, path: &str, fields: &[(&str, &str)]) -> String {
        format!(
            "{path}?{}",
            encode(&[&[("session.id", self.session.as_str())], fields].concat())
        )
    }

    /// A new project with a name of its own.
    pub(crate) async fn project(&self) -> Project<'_> {
        let name = unused_name();
        let reply = self
            .post(
                "/manager",
                &[("action", "create"), ("name", &name), ("description", "test")],
            )
            .await;
        assert_eq!(reply.json()["status"], "success", "{reply:?}");
        let id = self
            .get("/manager", &[("ajax", "getProjectId"), ("project", &name)])
            .await
            .json()["projectId"]
            .to_string();
        Project {
            azkaban: self,
            name,
            id,
        }
    }

    /// Another user's session.
    pub(crate) async fn other(&self) -> Self {
        Self {
            addr: self.addr,
            session: login(self.addr, "metrics").await,
            standin: None,
        }
    }
}

/// A name no project has.
pub(crate) fn unused_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!(
        "standin_test_{now}_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Logs a user in whose password is the name.
pub(crate) async fn login(addr: SocketAddr, user: &str) -> String {
    let reply = Request::form(
        "/",
        &[("action", "login"), ("username", user), ("password", user)],
    )
    .send(addr)
    .await;
    reply.json()["session.id"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply:?}"))
        .to_owned()
}

/// A project of the test's own; call [`Project::delete`] at the end.
pub(crate) struct Project<'a> {
    pub(crate) azkaban: &'a Azkaban,
    pub(crate) name: String,
    pub(crate) id: String,
}

impl Project<'_> {
    /// An `ajax` call of `/manager` on this project.
    pub(crate) async fn ajax(&self, call: &str, fields: &[(&str, &str)]) -> Reply {
        self.ajax_as(self.azkaban, call, fields).await
    }

    /// The same as another user.
    pub(crate) async fn ajax_as(&self, user: &Azkaban, call: &str, fields: &[(&str, &str)]) -> Reply {
        user.get(
            "/manager",
            &[&[("ajax", call), ("project", self.name.as_str())], fields].concat(),
        )
        .await
    }

    /// Uploads a zip as `a.zip`.
    pub(crate) async fn upload(&self, zip: &[u8]) -> Reply {
        self.upload_as("a.zip", Some("application/zip"), zip).await
    }

    pub(crate) async fn upload_as(&self, file: &str, kind: Option<&str>, zip: &[u8]) -> Reply {
        self.azkaban.send(self.upload_request(file, kind, zip)).await
    }

    pub(crate) fn upload_request(&self, file: &str, kind: Option<&str>, zip: &[u8]) -> Request {
        let fields = [
            Part::field("session.id", &self.azkaban.session),
            Part::field("ajax", "upload"),
            Part::field("project", &self.name),
            Part::file("file", file, kind, zip),
        ];
        Request::multipart("/manager", &fields)
    }

    /// Uploads a zip that must be accepted.
    pub(crate) async fn install(&self, zip: &[u8]) {
        let reply = self.upload(zip).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// The listed flows, sorted.
    pub(crate) async fn flows(&self) -> Vec<String> {
        let json = self.ajax("fetchprojectflows", &[]).await.json();
        let ids = json["flows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flow| flow["flowId"].as_str().unwrap().to_owned());
        let mut ids: Vec<_> = ids.collect();
        ids.sort();
        ids
    }

    /// Types and messages of the project log, newest first.
    pub(crate) async fn log(&self) -> Vec<(String, String)> {
        let json = self.ajax("fetchProjectLogs", &[]).await.json();
        let line = |line: &serde_json::Value| {
            (
                line[2].as_str().unwrap().to_owned(),
                line[3].as_str().unwrap_or("").to_owned(),
            )
        };
        json["logData"].as_array().unwrap().iter().map(line).collect()
    }

    pub(crate) async fn download(&self, version: Option<&str>) -> Reply {
        let mut fields = vec![("project", self.name.as_str()), ("download", "true")];
        fields.extend(version.map(|version| ("version", version)));
        self.azkaban.get("/manager", &fields).await
    }

    pub(crate) async fn delete(self) {
        self.azkaban
            .get("/manager", &[("project", &self.name), ("delete", "true")])
            .await;
        self.azkaban
            .get("/manager", &[("project", &self.id), ("purge", "true")])
            .await;
    }
}
