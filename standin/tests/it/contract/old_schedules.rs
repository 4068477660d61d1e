//! Scheduling flows the old way: by a first time, and a period if it is to go on.

use serde_json::json;

use crate::support::azkaban::{Azkaban, Project};
use crate::support::http::Reply;
use crate::support::schedules::{fetch, listed, scheduled};

/// `scheduleFlow` for flow `f`, at noon of a day.
async fn schedule(project: &Project<'_>, how: &str, date: &str, more: &[(&str, &str)]) -> Reply {
    let fields = [
        (how, "scheduleFlow"),
        ("projectName", project.name.as_str()),
        ("projectId", project.id.as_str()),
        ("flow", "f"),
        ("scheduleTime", "12,00,pm,UTC"),
        ("scheduleDate", date),
    ];
    // The last of two counts for the test.
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|(name, _)| !more.iter().any(|(other, _)| other == name))
        .collect();
    project
        .azkaban
        .post("/schedule", &[&fields[..], more].concat())
        .await
}

/// The answer to a schedule that was stored, or with -1 to one that was not.
fn success(project: &Project<'_>, id: i64) -> String {
    let message = format!("{}.f scheduled.", project.name);
    format!("{{\n  \"message\" : \"{message}\",\n  \"scheduleId\" : {id},\n  \"status\" : \"success\"\n}}")
}

#[tokio::test]
async fn a_flow_is_scheduled_once() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let reply = schedule(&project, "ajax", "07/22/2048", &[]).await;
    let id = reply.json()["scheduleId"].as_i64().unwrap();
    assert_eq!((reply.status, reply.text()), (200, success(&project, id)));
    assert!(id > 0);
    let shown = fetch(&project, "f").await;
    let shown = &shown["schedule"];
    assert_eq!(shown["firstSchedTime"], "2048-07-22 12:00:00");
    assert_eq!(shown["nextExecTime"], "2048-07-22 12:00:00");
    assert_eq!(
        (&shown["period"], &shown["cronExpression"]),
        (&json!("null"), &json!(null))
    );
    assert_eq!(shown["executionOptions"]["concurrentOption"], "skip");
    let expected = json!({"cron": null, "projectname": project.name, "period": 0, "flowname": "f",
                          "time": 2_479_032_000_000_i64, "history": false, "scheduleId": id});
    assert_eq!(listed(&project).await, [expected]);
    let event = format!(
        "Schedule {}.f ({}) to be run at (starting) 2048-07-22T12:00:00.000Z non-recurring has been added.",
        project.name, project.id
    );
    assert_eq!(project.log().await[0], ("SCHEDULE".to_owned(), event));
    project.delete().await;
}

#[tokio::test]
async fn a_flow_is_scheduled_again_and_again() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let period = |period| [("is_recurring", "on"), ("period", period)];
    let reply = schedule(&project, "action", "07/22/2048", &period("1w")).await;
    let id = reply.json()["scheduleId"].as_i64().unwrap();
    assert_eq!(reply.text(), success(&project, id));
    let cookie = format!("\"{}.f scheduled.\";Path=/", project.name);
    assert_eq!(reply.cookie("azkaban.success.message"), Some(cookie.as_str()));
    assert_eq!(fetch(&project, "f").await["schedule"]["period"], "1 week(s)");
    assert_eq!(listed(&project).await[0]["period"], 604_800_000);
    let log = project.log().await;
    assert!(
        log[0]
            .1
            .ends_with(" with precurring period of 1w has been added."),
        "{log:?}"
    );
    // The next one replaces it under the same number; one from the past is due at its next time.
    let reply = schedule(&project, "ajax", "7/2/2014", &period("20y")).await;
    assert_eq!(reply.text(), success(&project, id));
    let shown = fetch(&project, "f").await;
    assert_eq!(shown["schedule"]["firstSchedTime"], "2014-07-02 12:00:00");
    assert_eq!(shown["schedule"]["nextExecTime"], "2034-07-02 12:00:00");
    assert_eq!(shown["schedule"]["period"], "20 year(s)");
    project.delete().await;
}

#[tokio::test]
async fn once_in_the_past_success_is_said_and_nothing_stored() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let reply = schedule(&project, "ajax", "07/22/2014", &[]).await;
    assert_eq!((reply.status, reply.text()), (200, success(&project, -1)));
    assert_eq!(fetch(&project, "f").await, json!({}));
    assert!(
        project.log().await[0]
            .1
            .ends_with(" non-recurring has been added.")
    );
    // What it does not replace stays.
    let id = schedule(&project, "ajax", "07/22/2048", &[]).await.json()["scheduleId"].clone();
    schedule(&project, "ajax", "07/22/2014", &[]).await;
    assert_eq!(listed(&project).await[0]["scheduleId"], id);
    project.delete().await;
}

#[tokio::test]
async fn a_wrong_period_is_told_and_the_flow_scheduled_once() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    for (period, error) in [
        (Some("5x"), "Invalid schedule period unit 'x"),
        (Some("zd"), "For input string: \"z\""),
        (None, "Missing required parameter 'period'."),
    ] {
        let mut fields = vec![("is_recurring", "on")];
        fields.extend(period.map(|period| ("period", period)));
        let json = schedule(&project, "ajax", "07/22/2048", &fields).await.json();
        assert_eq!(
            (&json["error"], &json["status"]),
            (&json!(error), &json!("success"))
        );
        assert_eq!(fetch(&project, "f").await["schedule"]["period"], "null");
    }
    let fields = [("is_recurring", "true"), ("period", "1d")];
    let json = schedule(&project, "ajax", "07/22/2048", &fields).await.json();
    assert_eq!(json["status"], "success", "only `on` makes it recur");
    assert_eq!(fetch(&project, "f").await["schedule"]["period"], "null");
    project.delete().await;
}

#[tokio::test]
async fn a_period_that_does_not_come_to_the_present_is_an_exception() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let fields = [("is_recurring", "on"), ("period", "0d")];
    let reply = schedule(&project, "ajax", "07/22/2014", &fields).await;
    let title = "Error 500 100000 increments of period did not get to present time.";
    assert_eq!((reply.status, reply.title().as_str()), (500, title));
    assert_eq!(fetch(&project, "f").await, json!({}));
    project.delete().await;
}

#[tokio::test]
async fn what_is_no_time_is_told() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    for (date, time) in [
        ("22/07/2048", "12,00,pm,UTC"),
        ("07/22/2048", "12,00,pm"),
        ("07/22/2048", "12,60,pm,UTC"),
        ("07/22/2048", "x,00,pm,UTC"),
    ] {
        let reply = schedule(&project, "action", date, &[("scheduleTime", time)]).await;
        let expected = format!("{{\n  \"error\" : \"Invalid date and/or time '{date} {time}\"\n}}");
        assert_eq!((reply.status, reply.text()), (200, expected));
        assert_eq!(reply.cookie("azkaban.failure.message"), Some(";Path=/"));
    }
    project.delete().await;
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_told() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let other = azkaban.other().await;
    let told = |message: &str| format!("{{\n  \"message\" : \"{message}\",\n  \"status\" : \"error\"\n}}");
    let ask = async |user: &Azkaban, id: &str, flow: &str| {
        let fields = [
            ("ajax", "scheduleFlow"),
            ("projectName", "any name"),
            ("projectId", id),
            ("flow", flow),
        ];
        user.post("/schedule", &fields).await
    };
    assert_eq!(
        ask(&azkaban, "999999999", "f").await.text(),
        told("Project any name does not exist")
    );
    assert_eq!(
        ask(&azkaban, &project.id, "zz").await.text(),
        told("Flow zz cannot be found in project any name")
    );
    assert_eq!(
        ask(&other, &project.id, "f").await.text(),
        told("Permission denied. Cannot execute f")
    );
    for (id, title) in [
        (
            project.id.as_str(),
            "Error 500 Missing required parameter 'scheduleTime'.",
        ),
        ("x", "Error 500 For input string: \"x\""),
    ] {
        let reply = ask(&azkaban, id, "f").await;
        assert_eq!(
            (reply.status, reply.title().replace("&quot;", "\"").as_str()),
            (500, title)
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn a_locked_flow_is_scheduled_the_old_way() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    project
        .ajax("setFlowLock", &[("flowName", "f"), ("isLocked", "true")])
        .await;
    let json = schedule(&project, "ajax", "07/22/2048", &[]).await.json();
    assert_eq!(json["status"], "success");
    project.delete().await;
}
