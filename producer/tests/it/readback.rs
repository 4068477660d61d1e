//! list, export, verify and delete against the stand-in: what a zip says is believed only if Azkaban lists its flows.

use std::time::Duration;

use azkaban_standin::{Options, Running, Standin};
use flowlift_azkaban::archive::{ZipLimits, read_zip, write_zip};
use flowlift_azkaban::client::{Client, ClientConfig};
use flowlift_azkaban::{FlowName, Format, ProjectName, Tree};
use flowlift_common::manifest::{self, FlowEntry, Manifest};
use flowlift_common::{Order, RunId};

use crate::person::{Person, Said};

pub(crate) struct Azkaban {
    pub(crate) standin: Running,
    pub(crate) client: Client,
}

impl Azkaban {
    pub(crate) async fn start() -> Self {
        let standin = Standin::start(Options::default()).await.unwrap();
        let client = Client::new(ClientConfig::new(standin.url(), "azkaban", "azkaban")).unwrap();
        Self { standin, client }
    }

    fn person(&self) -> Person {
        self.known_to(Person::new())
    }

    /// Somebody who has this Azkaban in their settings.
    pub(crate) fn known_to(&self, person: Person) -> Person {
        person
            .with("FLOWLIFT_AZKABAN_URL", &self.standin.url())
            .with("FLOWLIFT_AZKABAN_PASSWORD", "azkaban")
    }

    /// Calls the program while the stand-in answers in this process.
    pub(crate) async fn calls(&self, person: Person, args: &str) -> (Person, Said) {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let call = move || {
            let said = person.calls(&args.iter().map(String::as_str).collect::<Vec<_>>());
            (person, said)
        };
        tokio::task::spawn_blocking(call).await.unwrap()
    }

    /// Uploads job files of one line each, with a manifest that names `owned` flows.
    async fn upload(&self, project: &str, jobs: &[(&str, &str)], owned: &[(&str, &str)]) {
        let project = ProjectName::new(project).unwrap();
        let mut manifest = Manifest::empty(Format::V1);
        manifest.attempt = "ours.zip".into();
        for (flow, owner) in owned {
            let entry = FlowEntry {
                name: FlowName::new(*flow).unwrap(),
                order: Order {
                    rank: 1,
                    run: RunId(uuid::Uuid::from_u128(7)),
                    seq: 1,
                },
                owner: (*owner).to_owned(),
                owned_at: None,
                cron: None,
                cron_at: None,
            };
            manifest.flows.insert((*flow).to_owned(), entry);
        }
        let mut tree: Tree = jobs
            .iter()
            .map(|(name, command)| (format!("{name}.job"), job(command).into()))
            .collect();
        tree.insert(manifest::PATH.to_owned(), manifest.write().into());
        self.client.create_project(&project, "x").await.unwrap();
        let zip = write_zip(&tree).into();
        self.client
            .upload(&project, "ours.zip", zip, Duration::from_secs(60))
            .await
            .unwrap();
    }
}

fn job(command: &str) -> String {
    format!("type=command\ncommand={command}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_flows_with_owner_run_and_schedule() {
    let azkaban = Azkaban::start().await;
    azkaban
        .upload("night", &[("a", "x"), ("b", "y")], &[("a", "me")])
        .await;
    let night = ProjectName::new("night").unwrap();
    azkaban
        .client
        .schedule_cron(&night, "b", "0 0 3 ? * *")
        .await
        .unwrap();
    let (person, said) = azkaban.calls(azkaban.person(), "list night").await;
    assert_eq!(
        said.out,
        "flow  owner  run                                   cron
a     me     00000000-0000-0000-0000-000000000007  -
b     -      -                                     0 0 3 ? * *\n"
    );
    assert_eq!(said.err, "2 flows in project night (version 1, Flow 1.0)\n");
    let (person, said) = azkaban.calls(person, "list").await;
    assert_eq!(said.out, "project  flows\nnight    2\n");
    let (_, said) = azkaban.calls(person, "list day").await;
    assert_eq!(
        (said.code, said.err.as_str()),
        (66, "there is no project day in Azkaban\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_compared_by_name_content_and_schedule() {
    let azkaban = Azkaban::start().await;
    azkaban
        .upload(
            "night",
            &[("flow_000001", "echo 000001"), ("flow_000002", "echo other")],
            &[],
        )
        .await;
    let (person, said) = azkaban
        .calls(azkaban.person(), "verify --project night --flows 1")
        .await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "1 generated flow in 1 project: all there\n")
    );
    let call = "verify --project night --flows 3 --cron none";
    let (person, said) = azkaban.calls(person, call).await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            1,
            "night: flow_000002: flow_000002.job has another content
night: flow_000003: it is missing in Azkaban
3 generated flows in 1 project: 2 differences\n"
        )
    );
    let (_, said) = azkaban
        .calls(person, "verify --project day --flows 1 --json")
        .await;
    assert_eq!(said.code, 1);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        json["differences"][0]["difference"],
        "there is no such project in Azkaban"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_the_active_zip_in_one_piece() {
    let azkaban = Azkaban::start().await;
    azkaban.upload("night", &[("a", "x")], &[]).await;
    let (person, said) = azkaban.calls(azkaban.person(), "export night n.zip").await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("n.zip: 1 flow, ") && said.out.ends_with("version 1 of project night\n"));
    let zip = std::fs::read(person.path().join("n.zip")).unwrap();
    let tree = read_zip(&zip, &ZipLimits::default()).unwrap();
    assert_eq!(tree["a.job"], job("x"));
    let names: Vec<_> = std::fs::read_dir(person.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["n.zip"], "nothing else is left there");
    let (_, said) = azkaban.calls(person, "export night no/such/folder.zip").await;
    assert_eq!(said.code, 74, "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_by_pattern_shows_what_it_means_today_and_asks() {
    let azkaban = Azkaban::start().await;
    azkaban
        .upload(
            "night",
            &[("a1", "x"), ("a2", "x"), ("b1", "x")],
            &[("a1", "me"), ("a2", "you"), ("b1", "me")],
        )
        .await;
    let (person, said) = azkaban
        .calls(azkaban.person(), "delete --project night --match A* --owner me")
        .await;
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            64,
            "Delete all flows of owner me in project night that match \"A*\" (today 1 flow: a1)? Without a terminal this needs --yes\n"
        )
    );
    let (_, said) = azkaban.calls(person, "delete --project night --all").await;
    assert_eq!(
        said.err,
        "Delete all flows that were brought up without an owner in project night that match \"*\" (none today)? Without a terminal this needs --yes\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_an_access_error() {
    let azkaban = Azkaban::start().await;
    let person = azkaban.person().with("FLOWLIFT_AZKABAN_PASSWORD", "wrong");
    let (_, said) = azkaban.calls(person, "list").await;
    assert_eq!(said.code, 77, "{}", said.err);
    assert!(!said.err.contains("wrong"), "{}", said.err);
}
