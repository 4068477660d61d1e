//! `flowlift show` on a real RabbitMQ.

use flowlift_common::ledger::Outcome;

use crate::publish::{run_of, words};
use crate::runs::{objects, settled};
use crate::vhost::Vhost;

#[tokio::test]
async fn what_became_of_a_flow_a_project_or_a_run_is_told_change_by_change() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let first = run_of(&person.calls(&words("publish --project p --flows 3")));
    let second = run_of(&person.calls(&words("publish --project p --flows 2")));
    vhost
        .record(&[
            settled(first, "p", Outcome::Applied, (1, 3)),
            settled(first, "p", Outcome::Applied, (1, 3)),
            settled(second, "P", Outcome::Superseded, (1, 1)),
            settled(second, "p", Outcome::Dead, (2, 2)),
            settled(first, "other", Outcome::Applied, (4, 4)),
        ])
        .await;

    let flow = objects(&person.calls(&["show", "P/FLOW_000002", "--json"]).out);
    let told: Vec<_> = flow
        .iter()
        .map(|one| (one["outcome"].as_str().unwrap(), one["version"].as_u64()))
        .collect();
    assert_eq!(told, [("applied", Some(3)), ("dead", None)]);
    assert_eq!(flow[1]["note"], "no type <script>alert(1)</script>");
    assert_eq!(
        (&flow[1]["run"], &flow[1]["seq"], &flow[1]["consumer"]),
        (&second.to_string().into(), &2.into(), &"test-1".into())
    );

    let project = person.calls(&["show", "p"]);
    assert_eq!(project.code, 0, "{}", project.err);
    let lines: Vec<Vec<&str>> = project.out.lines().map(words).collect();
    assert_eq!(
        lines[0],
        words("project what outcome when change consumer version note")
    );
    assert_eq!(
        (lines.len(), lines[1][1], lines[1][2]),
        (6, "flow_000001", "applied")
    );
    assert!(
        project.err.ends_with("5 outcomes in project p\n"),
        "{}",
        project.err
    );

    let short = &second.to_string()[28..];
    let run = objects(&person.calls(&["show", "--run", short, "--json"]).out);
    assert_eq!(run.len(), 2);
    let both = objects(
        &person
            .calls(&["show", "other", "--run", &first.to_string(), "--json"])
            .out,
    );
    assert_eq!((both.len(), &both[0]["what"]), (1, &"flow_000004".into()));
    let recent = objects(&person.calls(&["show", "p", "--since", "1h", "--json"]).out);
    assert_eq!(recent.len(), 5);
}

#[tokio::test]
async fn what_has_no_outcome_is_no_input() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    run_of(&person.calls(&words("publish --project p --flows 1")));
    person.is_refused(
        "show p/x",
        66,
        "there are no outcomes in project p of x: what is still queued has none yet, and RabbitMQ keeps them for a time only",
    );
    person.is_refused(
        "show --run 12345678",
        66,
        "there is no run 12345678 in this RabbitMQ (runs are kept for 90 days)",
    );
    assert_eq!(person.calls(&["show"]).code, 64);
}
