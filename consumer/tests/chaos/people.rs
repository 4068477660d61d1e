//! People who use Azkaban's web page beside Flowlift: they download a project, change it, and upload it whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flowlift_azkaban::archive::{ZipLimits, read_zip, write_zip};
use flowlift_azkaban::client::{Client, ClientError};
use flowlift_azkaban::{ProjectName, Tree};

use crate::curl::{curl, quoted};
use crate::standin::Azkaban;

/// What people did that must last.
#[derive(Debug, Default)]
pub(crate) struct ByHand {
    /// Their own flows and their commands, by project and name.
    pub(crate) flows: BTreeMap<(String, String), String>,
    /// Their flows' schedules.
    pub(crate) crons: BTreeMap<(String, String), String>,
    /// Flows of ours that they removed from our latest: gone for good.
    pub(crate) removed: BTreeSet<(String, String)>,
    /// Flows of ours whose removal met an upload of ours: either is right.
    pub(crate) free: BTreeSet<(String, String)>,
}

/// A zip that somebody took home.
pub(crate) struct Copy {
    pub(crate) project: String,
    pub(crate) version: u32,
    pub(crate) tree: Tree,
}

/// Somebody with a browser.
pub(crate) struct Person {
    url: String,
    session: String,
    folder: PathBuf,
    client: Client,
    uploads: usize,
}

impl Person {
    pub(crate) async fn log_in(azkaban: &Azkaban, folder: &Path) -> Self {
        let form = format!(
            "url = {}\ndata-urlencode = {}\ndata-urlencode = {}\ndata = \"action=login\"\n",
            quoted(&azkaban.url),
            quoted(&format!("username={}", azkaban.user)),
            quoted(&format!("password={}", azkaban.password)),
        );
        let answer = curl(&form).await.expect("Azkaban answers");
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("an answer to the login");
        Self {
            url: azkaban.url.clone(),
            session: answer["session.id"].as_str().expect("a session").to_owned(),
            folder: folder.to_owned(),
            client: azkaban.client.clone(),
            uploads: 0,
        }
    }

    /// Downloads the newest version.
    pub(crate) async fn download(&self, project: &str) -> Copy {
        let name = ProjectName::new(project).expect("a name");
        let zip = loop {
            match self.client.download(&name, None).await {
                // newer ones came so fast that Azkaban has thrown it away between two requests; a person clicks again
                Err(ClientError::VersionPurged { .. }) => tokio::task::yield_now().await,
                other => break other.expect("a download").expect("something was uploaded"),
            }
        };
        Copy {
            project: project.to_owned(),
            version: zip.version,
            tree: read_zip(&zip.zip, &ZipLimits::default()).expect("a zip"),
        }
    }

    /// Uploads a zip as the web page's form does; nobody is told the version.
    pub(crate) async fn upload_by_form(&mut self, copy: &Copy) {
        self.upload("action", copy).await;
    }

    /// Uploads a zip as scripts do; the version it became.
    pub(crate) async fn upload_by_script(&mut self, copy: &Copy) -> u32 {
        let answer = self.upload("ajax", copy).await;
        let json: serde_json::Value = serde_json::from_slice(&answer).expect("an answer to an upload");
        let version = json["version"].as_str().and_then(|version| version.parse().ok());
        version.unwrap_or_else(|| panic!("an upload by hand was refused: {json}"))
    }

    async fn upload(&mut self, by: &str, copy: &Copy) -> Vec<u8> {
        self.uploads += 1;
        let file = self.folder.join(format!("by-hand-{}.zip", self.uploads));
        std::fs::write(&file, write_zip(&copy.tree)).expect("a file");
        let form = format!(
            "url = {}\nform = {}\nform = {}\nform = {}\nform = {}\n",
            quoted(&format!("{}/manager", self.url)),
            quoted(&format!("session.id={}", self.session)),
            quoted(&format!("{by}=upload")),
            quoted(&format!("project={}", copy.project)),
            quoted(&format!("file=@{};type=application/zip", file.display())),
        );
        curl(&form).await.expect("Azkaban answers")
    }
}

impl Copy {
    /// Puts a flow of one's own into it; returns its command.
    pub(crate) fn put(&mut self, flow: &str, text: &str) -> String {
        let command = format!("echo by hand: {text}");
        let job = format!("type=command\ncommand={command}\n");
        self.tree.insert(format!("{flow}.job"), Bytes::from(job));
        command
    }

    pub(crate) fn remove(&mut self, flow: &str) {
        let removed = self.tree.remove(&format!("{flow}.job"));
        assert!(removed.is_some(), "{flow} is in the zip");
    }

    /// As after unpacking and packing with a tool that leaves hidden files out.
    pub(crate) fn without_hidden_files(&mut self) {
        self.tree.retain(|path, _| !path.starts_with('.'));
    }
}
