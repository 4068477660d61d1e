//! Cancelling, pausing and resuming, as a person sees it; what consumers make of it is tried with the real program there.

use flowlift_common::RunId;
use flowlift_common::ledger::Outcome;
use flowlift_common::steer::Hold;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{Sender, Wishes};

use crate::publish::{run_of, words};
use crate::vhost::Vhost;

impl Vhost {
    /// How a consumer that starts now would hold this project, and which runs it knows as cancelled.
    pub(crate) async fn wished(&self, project: &str) -> (Hold, Vec<RunId>) {
        let link = self.link().await;
        let sender = Sender::open(&link).await.unwrap();
        let (steering, _) = Wishes::open(&link, &sender).await.unwrap();
        let hold = steering.hold(&ProjectName::new(project).unwrap());
        let cancelled = steering.cancelled().iter().copied().collect();
        link.close().await;
        (hold, cancelled)
    }
}

#[tokio::test]
async fn a_pause_is_there_for_whoever_starts_later_until_it_is_ended() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let said = person.calls(&words("pause Night"));
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            0,
            "project Night is paused: nothing new is begun, uploads under way come to their end; `flowlift resume Night` has it go on\n"
        ),
        "{}",
        said.err
    );
    assert_eq!(vhost.wished("night").await.0, Hold::Project);
    assert_eq!(vhost.wished("day").await.0, Hold::No);
    let again = person.calls(&words("pause night"));
    assert!(
        again.err.contains("it was paused already, since 2"),
        "{}",
        again.err
    );
    person.calls(&words("pause"));
    assert_eq!(vhost.wished("day").await.0, Hold::Everything);
    let all = person.calls(&words("resume"));
    assert!(
        all.out.starts_with("work goes on; everything was paused since 2"),
        "{}",
        all.out
    );
    assert!(
        all.err.contains("project Night is still paused, since 2"),
        "{}",
        all.err
    );
    assert_eq!(vhost.wished("night").await.0, Hold::Project);
    let json = person.calls(&words("resume night --json"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["before"]["project"], &json["left"]),
        (&"Night".into(), &serde_json::json!([]))
    );
    assert_eq!(vhost.wished("night").await.0, Hold::No);
    let none = person.calls(&words("resume night"));
    assert_eq!(
        (none.code, none.out.as_str()),
        (0, "project night was not paused\n")
    );
}

#[tokio::test]
async fn a_cancelled_run_is_followed_until_each_change_has_its_outcome() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let run = run_of(&person.calls(&words("publish --project p --flows 100")));
    vhost.settle(run, Outcome::Applied, (1, 40), None).await;
    let said = person.calls(&["cancel", &run.to_string(), "--timeout", "2s"]);
    assert_eq!(said.code, 75, "{}", said.err);
    assert_eq!(vhost.wished("p").await.1, [run]);
    vhost.settle(run, Outcome::Cancelled, (41, 100), None).await;
    let said = person.calls(&["cancel", &run.to_string()]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out
            .starts_with("100 changes: 40 applied, 60 cancelled; 0 uploads, "),
        "{}",
        said.out
    );
    let waited = person.calls(&["wait", &run.to_string()]);
    assert_eq!(
        waited.code, 1,
        "it is not as its publisher wanted it: {}",
        waited.err
    );
    assert!(
        waited.err.contains("60 changes were cancelled by "),
        "{}",
        waited.err
    );
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_told() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    person.is_refused(
        "cancel 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --quiet",
        66,
        "there is no run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d in this RabbitMQ (runs are kept for 90 days)",
    );
    assert_eq!(vhost.wished("p").await.1, []);
    let run = run_of(&person.calls(&words("publish --project p --flows 2")));
    vhost.settle(run, Outcome::Applied, (1, 2), None).await;
    let said = person.calls(&["cancel", &run.to_string()]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("nothing was left to be cancelled"),
        "{}",
        said.err
    );
}
