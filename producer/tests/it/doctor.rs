//! `flowlift doctor` on a real RabbitMQ and the stand-in.

use azkaban_standin::{Options, Standin, User};
use serde_json::Value;

use crate::person::{Person, Said};
use crate::publish::words;
use crate::vhost::Vhost;

/// Each finding as `about/what: verdict`.
fn told(said: &Said) -> Vec<String> {
    let json: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = json["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            format!(
                "{}/{}: {}",
                text(finding, "about"),
                text(finding, "what"),
                text(finding, "verdict")
            )
        })
        // whether its plugin is enabled is not this test's
        .filter(|line| !line.starts_with("RabbitMQ/metrics"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_tried_and_what_is_missing_is_told() {
    let Some(vhost) = Vhost::new() else { return };
    let options = Options {
        users: vec![User::admin("azkaban", "azkaban"), User::plain("bob", "bob")],
        lockdown_create: true,
        ..Options::default()
    };
    let standin = Standin::start(options).await.unwrap();
    let person = || vhost.person().with("FLOWLIFT_AZKABAN_URL", &standin.url());

    let before = person().calls(&words("doctor --json"));
    assert_eq!(before.code, 0, "hints alone are no fault: {}", before.out);
    assert_eq!(
        told(&before),
        [
            "RabbitMQ/reached: ok",
            "RabbitMQ/rights: ok",
            "RabbitMQ/set up: hint",
            "Azkaban/reached: ok",
            "Azkaban/clock: ok",
            "Azkaban/login: hint",
        ]
    );

    person().calls(&words("publish --project p --flows 1"));
    let admin = person().with("FLOWLIFT_AZKABAN_PASSWORD", "azkaban");
    let tried = admin.calls(&words("doctor --json"));
    assert_eq!(tried.code, 1, "nobody consumes");
    assert_eq!(
        told(&tried),
        [
            "RabbitMQ/reached: ok",
            "RabbitMQ/rights: ok",
            "RabbitMQ/set up: ok",
            "RabbitMQ/consumers: bad",
            "RabbitMQ/dead letters: ok",
            "Azkaban/reached: ok",
            "Azkaban/clock: ok",
            "Azkaban/login: ok",
            "Azkaban/trial: ok",
        ]
    );
    assert_eq!(
        (standin.stats().uploads, standin.stats().sizes.projects),
        (1, 0),
        "the trial is gone"
    );
    let no_trial = admin.calls(&words("doctor --no-trial --json"));
    assert!(!told(&no_trial).iter().any(|line| line.contains("trial")));
    assert_eq!(standin.stats().uploads, 1);

    let bob = person()
        .with("FLOWLIFT_AZKABAN_USER", "bob")
        .with("FLOWLIFT_AZKABAN_PASSWORD", "bob");
    let shown = bob.calls(&words("doctor"));
    assert_eq!(shown.code, 1);
    assert!(
        shown.out.contains("bad   trial        no project can be made: "),
        "{}",
        shown.out
    );
    assert!(
        shown.out.contains("-> give the user the right to make projects"),
        "{}",
        shown.out
    );
    let wrong = person().with("FLOWLIFT_AZKABAN_PASSWORD", "s3cret-and-wrong");
    let shown = wrong.calls(&words("doctor"));
    assert!(
        shown
            .out
            .contains("bad   login        Azkaban refuses the login of user azkaban"),
        "{}",
        shown.out
    );
    assert!(!shown.out.contains("s3cret"), "{}", shown.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_is_named_beside_one_that_does() {
    let Some(vhost) = Vhost::new() else { return };
    let url = vhost.user_with("doctor", "pa55word", [".*"; 3]);
    let (head, path) = url.rsplit_once('/').unwrap();
    let person = vhost
        .person()
        .with("FLOWLIFT_AMQP_URL", &format!("{head},127.0.0.1:1/{path}"))
        .with("FLOWLIFT_AMQP_PASSWORD", "pa55word")
        .with("FLOWLIFT_AZKABAN_URL", "http://127.0.0.1:1");
    let said = person.calls(&words("doctor"));
    for line in [
        "ok    reached      127.0.0.1:",
        "hint  nodes        no answer from 1 of the 2 nodes in the address: RabbitMQ at 127.0.0.1:1/",
        "-> start them again, or correct the address",
        "ok    rights",
    ] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
    assert!(!said.out.contains("pa55word"));
}

#[test]
fn who_is_not_there_is_told_with_what_to_do() {
    // ports of nobody
    let person = Person::new()
        .with("FLOWLIFT_AMQP_URL", "amqp://me:s3cret@127.0.0.1:1/x")
        .with("FLOWLIFT_AZKABAN_URL", "http://127.0.0.1:1");
    let said = person.calls(&words("doctor"));
    assert_eq!(said.code, 1);
    for line in [
        "bad   reached      RabbitMQ at 127.0.0.1:1/x cannot be reached",
        "-> is RabbitMQ running there",
        "bad   reached      cannot reach Azkaban at http://127.0.0.1:1",
        "-> is Azkaban's web server running there?",
    ] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
    assert!(!said.out.contains("s3cret"));
}
