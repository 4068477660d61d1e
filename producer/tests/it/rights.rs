//! Three users with no more rights than they need, and the real programs with them; SECURITY.md has the same rights.

use crate::consumer::Consumer;
use crate::publish::id_of;
use crate::readback::Azkaban;
use crate::vhost::Vhost;

/// Configure, write, read.
type Rights = [&'static str; 3];

pub(crate) const PRODUCER: Rights = [
    r"^(amq\.gen-.*|flowlift\.dead\.reader|flowlift\.parts\..*)$",
    r"^(amq\.default|flowlift\.hello)$",
    r"^(amq\.gen-.*|flowlift\.(topology|runs|attempts|steer|outcomes|dead|parts\..*))$",
];
pub(crate) const CONSUMER: Rights = [
    r"^(flowlift\..*|amq\.gen.*)$",
    r"^(flowlift\..*|amq\.gen.*|amq\.default)$",
    r"^(flowlift\..*|amq\.gen.*)$",
];
const VIEWER: Rights = [
    r"^amq\.gen-.*$",
    r"^flowlift\.hello$",
    r"^(amq\.gen-.*|flowlift\.(topology|runs|attempts|steer|outcomes))$",
];

/// The users' addresses, without passwords: those are in the environment.
struct Users {
    producer: String,
    consumer: String,
    viewer: String,
}

const PASSWORD: &str = "p@ss:w/rd%?#";

impl Users {
    fn of(vhost: &Vhost) -> Self {
        Self {
            producer: vhost.user_with("producer", PASSWORD, PRODUCER),
            consumer: vhost.user_with("consumer", PASSWORD, CONSUMER),
            viewer: vhost.user_with("viewer", PASSWORD, VIEWER),
        }
    }
}

/// A road on which everybody is somebody else.
struct Road {
    vhost: Vhost,
    azkaban: Azkaban,
    users: Users,
    _consumer: Consumer,
}

impl Road {
    async fn make() -> Option<Self> {
        let vhost = Vhost::new()?;
        let azkaban = Azkaban::start().await;
        let users = Users::of(&vhost);
        let login = [
            ("FLOWLIFT_AMQP_URL", users.consumer.as_str()),
            ("FLOWLIFT_AMQP_PASSWORD", PASSWORD),
        ];
        let consumer = Consumer::start_with(&azkaban, &login, |_| {}).await;
        Some(Self {
            vhost,
            azkaban,
            users,
            _consumer: consumer,
        })
    }

    /// Calls as the user of this address, and expects this exit code.
    async fn calls(&self, url: &str, args: &str, code: i32) -> crate::person::Said {
        let person = self
            .vhost
            .person()
            .with("FLOWLIFT_AMQP_URL", url)
            .with("FLOWLIFT_AMQP_PASSWORD", PASSWORD);
        let said = self.azkaban.calls(person, args).await.1;
        assert_eq!(said.code, code, "{args}: {} {}", said.out, said.err);
        said
    }
}

impl Road {
    /// Messages set aside.
    async fn parked(&self, url: &str) -> u64 {
        let said = self.calls(url, "topology show --json", 0).await.out;
        let record: serde_json::Value = serde_json::from_str(&said).unwrap();
        record["parked"].as_u64().unwrap()
    }
}

#[test]
fn the_manual_has_the_rights_that_are_tried_here() {
    // a table's cells write a bar with a backslash
    let manual = include_str!("../../../SECURITY.md").replace(r"\|", "|");
    for right in [PRODUCER, CONSUMER, VIEWER].into_iter().flatten() {
        assert!(manual.contains(right), "SECURITY.md lacks {right}");
    }
    let definitions = include_str!("../../../deploy/rabbitmq/definitions.json");
    let definitions: serde_json::Value = serde_json::from_str(definitions).unwrap();
    // whoever publishes first may find a vhost in which no consumer ran yet
    let named = [("producer", CONSUMER), ("consumer", CONSUMER)];
    for (user, [configure, write, read]) in named {
        let wanted = serde_json::json!({"user": format!("flowlift-{user}"), "vhost": "flowlift",
            "configure": configure, "write": write, "read": read});
        let rights = definitions["permissions"].as_array().unwrap();
        assert!(rights.contains(&wanted), "definitions.json lacks {wanted}");
    }
}

#[tokio::test]
async fn a_producer_publishes_steers_and_handles_dead_letters_that_say_whose_they_were() {
    let Some(road) = Road::make().await else { return };
    let me = road.users.producer.as_str();
    let run = id_of(
        &road
            .calls(me, "publish --project p --flows 3 --owner a --wait", 0)
            .await,
    );
    road.calls(me, &format!("wait {run}"), 0).await;
    // another owner's flow: a dead letter
    let dead = id_of(
        &road
            .calls(me, "publish --project p --flows 1 --owner b --wait", 1)
            .await,
    );
    let id = format!("{}.1", &dead.to_string()[28..]);
    let shown = road.calls(me, &format!("dead show {id} --json"), 0).await.out;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let user = me.split_once("://").unwrap().1.split_once('@').unwrap().0;
    assert_eq!(shown["published_by"], user);
    let again = id_of(&road.calls(me, &format!("dead requeue {id} --wait"), 1).await);
    road.calls(me, "dead purge --all --yes", 0).await;
    road.calls(me, "pause p", 0).await;
    let held = id_of(&road.calls(me, "publish --project p --flows 4 --owner a", 0).await);
    // the consumer sets it aside, signed with its own name
    let begun = std::time::Instant::now();
    while road.parked(me).await == 0 {
        assert!(begun.elapsed() < crate::patience::PATIENCE, "nothing was parked");
    }
    road.calls(me, "resume p", 0).await;
    road.calls(me, &format!("wait {held}"), 0).await;
    road.calls(me, &format!("cancel {again} --no-wait"), 0).await;
    for look in ["runs", "status", "show p", "topology show"] {
        road.calls(me, look, 0).await;
    }
}

#[tokio::test]
async fn a_viewer_sees_everything_and_changes_nothing() {
    let Some(road) = Road::make().await else { return };
    let run = id_of(
        &road
            .calls(&road.users.producer, "publish --project p --flows 3 --wait", 0)
            .await,
    );
    let me = road.users.viewer.as_str();
    let runs = road.calls(me, "runs --json", 0).await.out;
    assert!(runs.contains(&run.to_string()), "{runs}");
    let status = road.calls(me, "status --json", 0).await.out;
    assert!(status.contains("\"it\""), "the consumer answered: {status}");
    let shown = road.calls(me, &format!("show --run {run} --json"), 0).await.out;
    assert_eq!(shown.lines().count(), 3, "{shown}");
    let report = road.calls(me, &format!("report {run} --json"), 0).await.out;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["outcomes"]["applied"], 3, "{report}");
    road.calls(me, "topology show", 0).await;
    for change in [
        "publish --project p --flows 4".to_owned(),
        "delete --project p --all --yes".to_owned(),
        "pause".to_owned(),
        "dead list".to_owned(),
        format!("cancel {run}"),
    ] {
        let said = road.calls(me, &change, 77).await;
        assert!(said.err.contains("ACCESS_REFUSED"), "{change}: {}", said.err);
    }
    road.calls(&road.users.producer, &format!("wait {run}"), 0).await;
}

#[tokio::test]
async fn nobody_signs_with_another_name() {
    use lapin::BasicProperties;
    use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
    let Some(vhost) = Vhost::new() else { return };
    let link = vhost.link().await;
    for (user, taken) in [("guest", true), ("somebody", false)] {
        let channel = link.channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        let signed = BasicProperties::default().with_user_id(user.into());
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), "nowhere".into(), options, b"x", signed);
        assert_eq!(sent.await.unwrap().await.is_ok(), taken, "{user}");
    }
    link.close().await;
}
