//! `flowlift verify --repair` with a real RabbitMQ, a real consumer, and people who upload zips by hand.

use std::time::Duration;

use bytes::Bytes;
use flowlift_azkaban::ProjectName;
use flowlift_azkaban::archive::{ZipLimits, read_zip, write_zip};
use flowlift_common::Act;
use flowlift_common::ledger::RunEvent;

use crate::consumer::Consumer;
use crate::person::{Person, Said};
use crate::publish::run_of;
use crate::readback::Azkaban;
use crate::vhost::Vhost;

/// Everything a change meets on its way.
struct Road {
    consumer: Consumer,
    vhost: Vhost,
    azkaban: Azkaban,
}

impl Road {
    async fn make() -> Option<Self> {
        let vhost = Vhost::new()?;
        let azkaban = Azkaban::start().await;
        let consumer = Consumer::start(&vhost, &azkaban).await;
        Some(Self {
            consumer,
            vhost,
            azkaban,
        })
    }

    fn person(&self) -> Person {
        self.azkaban.known_to(self.vhost.person())
    }

    async fn calls(&self, args: &str) -> Said {
        self.azkaban.calls(self.person(), args).await.1
    }

    async fn zip(&self) -> Bytes {
        let newest = self.azkaban.client.download(&project(), None).await.unwrap();
        newest.unwrap().zip
    }

    /// A person puts a job into a zip and uploads it.
    async fn uploads(&self, zip: &Bytes, job: &str, command: &str) {
        let mut tree = read_zip(zip, &ZipLimits::default()).unwrap();
        tree.insert(
            format!("{job}.job"),
            format!("type=command\ncommand={command}\n").into(),
        );
        let zip = write_zip(&tree).into();
        let (client, project) = (&self.azkaban.client, project());
        let sent = client.upload(&project, "theirs.zip", zip, Duration::from_secs(60));
        sent.await.unwrap();
    }

    async fn flows(&self) -> Vec<String> {
        let list = self.azkaban.client.flows(&project()).await.unwrap();
        list.flows.into_iter().collect()
    }
}

fn project() -> ProjectName {
    ProjectName::new("p").unwrap()
}

/// The only line in which a time stands.
fn without_time(text: &str) -> String {
    let (head, rest) = text.split_once("; 1 upload, ").expect("an upload");
    let (_, rest) = rest.split_once('\n').unwrap();
    format!("{head}; 1 upload, TIME\n{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_zip_took_away_comes_back_and_what_its_person_added_stays() {
    let Some(road) = Road::make().await else { return };
    run_of(&road.calls("publish --project p --flows 2 --wait").await);
    let old = road.zip().await;
    let person = road.person();
    let line = |n: u32| {
        format!(
            "{{\"flow\": \"flow_00000{n}\", \"command\": \"echo 00000{n}\", \"cron\": \"0 {n} 3 ? * *\"}}\n"
        )
    };
    person.has("night.ndjson", (1..=4).map(line).collect::<String>());
    let (_, said) = road
        .azkaban
        .calls(person, "publish night.ndjson --project p --wait")
        .await;
    let run = run_of(&said);
    let good = format!("4 flows of run {run} in 1 project: all there\n");
    let said = road.calls(&format!("verify --run {run} --repair")).await;
    assert_eq!((said.code, &said.out), (0, &good), "{}", said.err);
    assert!(
        !said.err.contains("queued"),
        "nothing differs, nothing is published: {}",
        said.err
    );

    road.uploads(&old, "mine", "m").await;
    let difference = "p: its current zip (version 3) was not uploaded by Flowlift\n";
    let said = road.calls(&format!("verify --run {run}")).await;
    let bad = format!("{difference}4 flows of run {run} in 1 project: 1 difference\n");
    assert_eq!((said.code, said.out), (1, bad), "{}", said.err);
    let said = road.calls(&format!("verify --run {run} --repair")).await;
    let wanted = format!(
        "1 change: 1 restored; 1 upload, TIME\nbrought back 2 flows that were lost: flow_000003, flow_000004\n{good}"
    );
    assert_eq!((said.code, without_time(&said.out)), (0, wanted), "{}", said.err);
    let begins = format!("{difference}a check of 1 project is queued as run ");
    assert!(said.err.starts_with(&begins), "{}", said.err);
    let all = ["flow_000001", "flow_000002", "flow_000003", "flow_000004", "mine"];
    assert_eq!(road.flows().await, all);
    let schedules = road.azkaban.client.schedules().await.unwrap();
    assert_eq!(schedules.len(), 4, "{schedules:?}");

    road.uploads(&old, "mine", "m").await;
    let said = road
        .calls(&format!("verify --run {run} --repair --json --quiet"))
        .await;
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &json["differences"]), (0, &serde_json::json!([])));
    let repair = &json["repair"];
    assert_eq!(repair["differences"][0]["project"], "p");
    assert_eq!(repair["outcome"]["restored"]["count"], 2);
    let check = repair["run"].as_str().unwrap().parse().unwrap();
    let Some(RunEvent::Opened { source, .. }) = road.vhost.events(check).await.into_iter().nth(1) else {
        panic!("a check is a run as others");
    };
    assert_eq!(source, "a check of 1 project");

    // without a consumer the check waits in its queue, and the time ends
    road.uploads(&old, "mine", "m").await;
    let Road {
        consumer,
        vhost,
        azkaban,
    } = road;
    drop(consumer);
    let person = azkaban.known_to(vhost.person());
    let call = format!("verify --run {run} --repair --timeout 1s");
    let (person, said) = azkaban.calls(person, &call).await;
    assert_eq!((said.code, said.out.as_str()), (75, ""), "{}", said.err);
    let last = said.err.lines().last().unwrap();
    assert!(last.starts_with("0 of 1 change is settled after 1."), "{last}");
    let message = vhost.messages("p", 1).await.remove(0);
    assert_eq!(
        (&message.changes[0].act, message.rules.create),
        (&Act::Check, false)
    );

    azkaban.client.delete_project(&project()).await.unwrap();
    let (_, said) = azkaban
        .calls(person, &format!("verify --run {run} --repair"))
        .await;
    let gone =
        format!("p: there is no such project in Azkaban\n4 flows of run {run} in 1 project: 1 difference\n");
    assert_eq!((said.code, said.out), (1, gone), "{}", said.err);
    let hint = "a check brings back what got lost; what somebody removed on purpose, a whole project for example, stays away until \
                it is published again\n";
    assert_eq!(said.err, hint);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_those_changes_of_a_source_that_differ_are_queued_again() {
    let Some(road) = Road::make().await else { return };
    run_of(
        &road
            .calls("publish --project p --flows 4 --owner me --wait")
            .await,
    );
    road.uploads(&road.zip().await, "flow_000003", "edited").await;
    let said = road
        .calls("verify --project p --flows 4 --owner me --repair")
        .await;
    let wanted = "1 change: 1 applied; 1 upload, TIME\n4 generated flows in 1 project: all there\n";
    assert_eq!(
        (said.code, without_time(&said.out)),
        (0, wanted.to_owned()),
        "{}",
        said.err
    );
    let begins = "p: flow_000003: flow_000003.job has another content\n\
                  a repair of 1 change of 4 generated flows is queued as run ";
    assert!(said.err.starts_with(begins), "{}", said.err);
    // somebody else's flows are not repaired
    road.uploads(&road.zip().await, "flow_000001", "edited").await;
    let said = road
        .calls("verify --project p --flows 4 --owner you --repair --quiet")
        .await;
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.out.ends_with(
            "p: flow_000001: flow_000001.job has another content\n4 generated flows in 1 project: 1 difference\n"
        ),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("1 change could not be applied:\n  p: flow_000001: "),
        "{}",
        said.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_adopted_is_said() {
    let Some(road) = Road::make().await else { return };
    run_of(
        &road
            .calls("publish --project p --flows 1 --owner me --wait")
            .await,
    );
    road.uploads(&road.zip().await, "flow_000002", "theirs").await;
    let said = road
        .calls("publish --project p --flows 3 --owner me --wait")
        .await;
    run_of(&said);
    let adopted = "adopted 1 flow that nobody owned: flow_000002\n";
    assert!(said.err.ends_with(adopted), "{}", said.err);
    let said = road.calls(&format!("wait {}", run_of(&said))).await;
    assert!(said.out.ends_with(adopted), "{}", said.out);
}

#[test]
fn what_belongs_to_a_repair_needs_one() {
    let person = Person::new();
    for args in [
        "verify --project p --flows 1 --timeout 5s",
        "verify --project p --flows 1 --owner me",
        "verify --run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --repair --owner me",
    ] {
        let words: Vec<&str> = args.split(' ').collect();
        let said = person.calls(&words);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{args}: {}", said.err);
    }
}
