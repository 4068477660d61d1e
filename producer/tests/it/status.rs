//! `flowlift status` on a real RabbitMQ, where nobody consumes.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use flowlift_common::ledger::Outcome;
use serde_json::{Value, json};

use crate::patience::Watch;
use crate::publish::{run_of, words};
use crate::runs::settled;
use crate::vhost::{SHARDS, Vhost};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_told_by_run_and_project_and_kept_up_with() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let run = run_of(&person.calls(&words("publish --project p --flows 10 --deadline 07:00")));
    person.calls(&words("publish --project q --flows 4"));
    vhost.record(&[settled(run, "p", Outcome::Applied, (1, 3))]).await;
    let once: Value = serde_json::from_str(&person.calls(&words("status --json")).out).unwrap();
    assert_eq!(
        once["backlog"]["projects"],
        json!([{"project": "p", "changes": 7}, {"project": "q", "changes": 4}])
    );
    assert_eq!(once["runs"][0]["run"], json!(run));
    assert_eq!(
        (&once["runs"][0]["done"], &once["runs"][0]["left"]),
        (&json!(3), &json!(7))
    );
    assert_eq!(once["runs"][0]["state"], "closed");
    assert!(once["runs"][0]["deadline_ms"].is_u64());

    let mut looking = Command::new(env!("CARGO_BIN_EXE_flowlift"))
        .args(words("status --watch --every 200ms --json"))
        .current_dir(person.path())
        .env("FLOWLIFT_AMQP_URL", &vhost.url)
        .env("FLOWLIFT_SHARDS", SHARDS.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _bounded = Watch::over(&looking);
    let mut looks = BufReader::new(looking.stdout.take().unwrap()).lines();
    let mut look = move || serde_json::from_str::<Value>(&looks.next().unwrap().unwrap()).unwrap();
    assert_eq!(look()["runs"][0]["left"], 7);
    vhost
        .record(&[settled(run, "p", Outcome::Applied, (4, 10))])
        .await;
    let after = std::iter::repeat_with(&mut look).find(|look| look["runs"].as_array().unwrap().len() == 1);
    assert_eq!(
        after.unwrap()["backlog"]["projects"],
        json!([{"project": "q", "changes": 4}]),
        "a settled run is not shown any more"
    );
    looking.kill().unwrap();
    looking.wait().unwrap();
}
