//! Scheduling flows.

use serde_json::json;

use crate::support::azkaban::{Azkaban, Project};
use crate::support::http::Reply;
use crate::support::schedules::{fetch, listed, scheduled};
use crate::support::zips::jobs;

const CRON: &str = "0 0 3 ? * *";

async fn schedule(project: &Project<'_>, how: &str, flow: &str, cron: &str, more: &[(&str, &str)]) -> Reply {
    let fields = [
        (how, "scheduleCronFlow"),
        ("projectName", &project.name),
        ("flow", flow),
        ("cronExpression", cron),
    ];
    project
        .azkaban
        .post("/schedule", &[&fields[..], more].concat())
        .await
}

#[tokio::test]
async fn a_schedule_is_set_and_set_again_under_the_same_number() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let reply = schedule(&project, "ajax", "f", CRON, &[]).await;
    let id = reply.json()["scheduleId"].as_i64().unwrap();
    let expected = |id: i64| {
        let message = format!("{}.f scheduled.", project.name);
        format!(
            "{{\n  \"message\" : \"{message}\",\n  \"scheduleId\" : {id},\n  \"status\" : \"success\"\n}}"
        )
    };
    assert_eq!(
        (reply.text(), reply.cookie("azkaban.success.message")),
        (expected(id), None)
    );
    let again = schedule(&project, "action", "f", "0 30 4 ? * *", &[]).await;
    assert_eq!(again.text(), expected(id));
    let cookie = format!("\"{}.f scheduled.\";Path=/", project.name);
    assert_eq!(again.cookie("azkaban.success.message"), Some(cookie.as_str()));
    assert_eq!(
        fetch(&project, "f").await["schedule"]["cronExpression"],
        "0 30 4 ? * *"
    );
    assert_eq!(
        schedule(&project, "ajax", "g", CRON, &[]).await.json()["scheduleId"],
        id + 1
    );
    project.delete().await;
}

#[tokio::test]
async fn a_schedule_is_shown_with_times_and_options() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let more = [
        ("concurrentOption", "pipeline"),
        ("pipelineLevel", "2"),
        ("failureEmails", "a,b; c"),
        ("successEmails", "d"),
        ("failureAction", "finishPossible"),
        ("notifyFailureLast", "true"),
        ("disabled", "[\"x\"]"),
        ("flowOverride[k]", "v"),
        ("failureEmailsOverride", "true"),
    ];
    let id = schedule(&project, "ajax", "f", CRON, &more).await.json()["scheduleId"]
        .as_i64()
        .unwrap();
    let mut json = fetch(&project, "f").await;
    let next = json["schedule"]["nextExecTime"].take();
    assert!(next.as_str().unwrap().ends_with(" 03:00:00"), "{next}");
    assert_eq!(
        json["schedule"]["firstSchedTime"].take().as_str().unwrap().len(),
        "2026-11-23 13:32:25".len()
    );
    let expected = json!({"schedule": {
        "scheduleId": id.to_string(), "cronExpression": CRON, "nextExecTime": null, "firstSchedTime": null, "period": "null",
        "submitUser": "azkaban",
        "executionOptions": {
            "notifyOnFirstFailure": true, "notifyOnLastFailure": true, "failureEmails": ["a", "b", "c"], "successEmails": ["d"],
            "pipelineLevel": 2, "queueLevel": 0, "concurrentOption": "pipeline", "mailCreator": "default", "memoryCheck": true,
            "flowParameters": {"k": "v"}, "failureAction": "FINISH_ALL_POSSIBLE", "slaOptions": [],
            "disabledJobs": [{"name": "x", "children": null, "embeddedFlow": false}], "pipelineExecutionId": null,
            "successEmailsOverridden": false, "failureEmailsOverridden": true,
        },
    }});
    assert_eq!(json, expected);
    project.delete().await;
}

#[tokio::test]
async fn all_schedules_of_all_projects_are_listed() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let id = schedule(&project, "ajax", "f", CRON, &[]).await.json()["scheduleId"].clone();
    for call in ["fetchSchedules", "loadFlow"] {
        let text = azkaban.get("/schedule", &[("ajax", call)]).await.text();
        assert!(text.contains(&format!(
            "\"projectname\" : \"{}\",\n    \"period\" : 0,\n    \"flowname\" : \"f\",",
            project.name
        )));
    }
    let mut items = listed(&project).await;
    assert!(items[0]["time"].take().as_i64().unwrap() > 1_700_000_000_000);
    let expected = json!({
        "cron": CRON, "projectname": project.name, "period": 0, "flowname": "f", "time": null, "history": false, "scheduleId": id,
    });
    assert_eq!(items, [expected]);
    project.delete().await;
}

#[tokio::test]
async fn the_project_is_named_as_the_caller_wrote_it() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let upper = project.name.to_uppercase();
    let fields = [
        ("ajax", "scheduleCronFlow"),
        ("projectName", upper.as_str()),
        ("flow", "f"),
        ("cronExpression", CRON),
    ];
    assert_eq!(
        azkaban.get("/schedule", &fields).await.json()["message"],
        format!("{upper}.f scheduled.")
    );
    assert!(
        azkaban
            .get("/schedule", &[("ajax", "fetchSchedules")])
            .await
            .text()
            .contains(&upper)
    );
    project.delete().await;
}

#[tokio::test]
async fn what_is_not_scheduled_is_told() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let other = azkaban.other().await;
    let name = &project.name;
    for (user, project, flow, message) in [
        (
            &azkaban,
            "no-such-project",
            "f",
            "Project no-such-project does not exist".to_owned(),
        ),
        (
            &azkaban,
            name,
            "zz",
            format!("Flow zz cannot be found in project {name}"),
        ),
        (
            &other,
            name,
            "f",
            "Permission denied. Cannot execute f".to_owned(),
        ),
    ] {
        let fields = [("projectName", project), ("flow", flow), ("cronExpression", CRON)];
        let reply = user
            .post(
                "/schedule",
                &[&fields[..], &[("action", "scheduleCronFlow")]].concat(),
            )
            .await;
        assert_eq!(
            reply.text(),
            format!("{{\n  \"message\" : \"{message}\",\n  \"status\" : \"error\"\n}}")
        );
        assert_eq!(
            reply.cookie("azkaban.failure.message"),
            Some(format!("\"{message}\";Path=/").as_str())
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn a_cron_expression_quartz_refuses_is_an_error_without_status() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    for cron in [
        "zzz",
        "",
        "0 0 3 * * *",
        "0 0 3 ? * 8",
        "0 0 3 ? * * 2001",
        "* * * *",
    ] {
        let reply = schedule(&project, "ajax", "f", cron, &[]).await;
        let expected =
            format!("{{\n  \"error\" : \"This expression <{cron}> can not be parsed to quartz cron.\"\n}}");
        assert_eq!((reply.status, reply.text()), (200, expected));
    }
    assert_eq!(fetch(&project, "f").await, json!({}));
    project.delete().await;
}

#[tokio::test]
async fn without_a_cron_expression_success_is_said_and_nothing_stored() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let fields = [
        ("ajax", "scheduleCronFlow"),
        ("projectName", &project.name),
        ("flow", "f"),
    ];
    let reply = azkaban.post("/schedule", &fields).await;
    let expected = format!(
        "{{\n  \"error\" : \"Cron expression must exist.\",\n  \"message\" : \"{}.f scheduled.\",\n  \"scheduleId\" : -1,\n  \
         \"status\" : \"success\"\n}}",
        project.name
    );
    assert_eq!(reply.text(), expected);
    assert_eq!(fetch(&project, "f").await, json!({}));
    assert!(
        project.log().await[0]
            .1
            .ends_with(" non-recurring has been added.")
    );
    project.delete().await;
}

#[tokio::test]
async fn pipelining_without_a_level_is_an_exception() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let reply = schedule(&project, "ajax", "f", CRON, &[("concurrentOption", "pipeline")]).await;
    assert_eq!(reply.status, 500);
    assert!(
        reply.title().contains("ExecutionOptions.getSlaOptions()"),
        "{}",
        reply.title()
    );
    project.delete().await;
}

#[tokio::test]
async fn a_missing_parameter_is_an_exception() {
    let azkaban = Azkaban::start().await;
    for (fields, missing) in [
        (&[("ajax", "scheduleCronFlow")][..], "projectName"),
        (&[("ajax", "scheduleCronFlow"), ("projectName", "p")], "flow"),
        (&[("ajax", "fetchSchedule")], "projectId"),
        (&[("ajax", "fetchSchedule"), ("projectId", "1")], "flowId"),
        (&[("action", "removeSched")], "scheduleId"),
    ] {
        let reply = azkaban.post("/schedule", fields).await;
        let title = format!("Error 500 Missing required parameter '{missing}'.");
        assert_eq!((reply.status, reply.title()), (500, title));
    }
}

#[tokio::test]
async fn a_schedule_is_removed_by_action_only() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    let id = schedule(&project, "ajax", "f", CRON, &[]).await.json()["scheduleId"].to_string();
    assert_eq!(
        azkaban
            .post("/schedule", &[("ajax", "removeSched"), ("scheduleId", &id)])
            .await
            .text(),
        "{ }"
    );
    let other = azkaban.other().await;
    let remove = [("action", "removeSched"), ("scheduleId", id.as_str())];
    let denied = other.post("/schedule", &remove).await.json();
    assert_eq!(
        denied["message"],
        format!("Permission denied. Cannot remove schedule with id {id}")
    );
    let reply = azkaban.post("/schedule", &remove).await;
    assert_eq!(
        reply.text(),
        "{\n  \"message\" : \"flow f removed from Schedules.\",\n  \"status\" : \"success\"\n}"
    );
    let gone = azkaban.post("/schedule", &remove).await.json();
    assert_eq!(
        gone,
        json!({"message": format!("Schedule with ID {id} does not exist"), "status": "error"})
    );
    assert_eq!(fetch(&project, "f").await, json!({}));
    let log = project.log().await;
    assert!(log[0].1.starts_with(&format!(
        "Schedule {}.f ({}) to be run at (starting) ",
        project.name, project.id
    )));
    assert!(
        log[0].1.ends_with(&format!(
            " with CronExpression {{{CRON}}} and timezone UTC has been removed."
        )),
        "{log:?}"
    );
    project.delete().await;
}

#[tokio::test]
async fn an_upload_without_the_flow_removes_its_schedule_at_once() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    for flow in ["f", "g"] {
        schedule(&project, "ajax", flow, CRON, &[]).await;
    }
    project.install(&jobs(&[("g", "")])).await;
    let left: Vec<_> = listed(&project)
        .await
        .iter()
        .map(|item| item["flowname"].clone())
        .collect();
    assert_eq!(left, ["g"]);
    let log = project.log().await;
    assert_eq!(log[0].0, "SCHEDULE");
    assert!(
        log[0].1.contains(".f (") && log[0].1.ends_with(" has been removed."),
        "{}",
        log[0].1
    );
    project.install(&jobs(&[("f", ""), ("g", "")])).await;
    assert_eq!(
        fetch(&project, "f").await,
        json!({}),
        "it does not come back with the flow"
    );
    project.delete().await;
}

#[tokio::test]
async fn a_refused_upload_leaves_schedules_alone() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    schedule(&project, "ajax", "f", CRON, &[]).await;
    project.upload(&jobs(&[("g", "dependencies=zz")])).await;
    assert_eq!(listed(&project).await.len(), 1);
    project.delete().await;
}

#[tokio::test]
async fn a_deleted_project_takes_its_schedules_along() {
    let azkaban = Azkaban::start().await;
    let project = scheduled(&azkaban).await;
    schedule(&project, "ajax", "f", CRON, &[]).await;
    azkaban
        .get("/manager", &[("project", &project.name), ("delete", "true")])
        .await;
    assert_eq!(fetch(&project, "f").await, json!({}));
    assert_eq!(listed(&project).await, [json!(null); 0]);
}

#[tokio::test]
async fn calls_it_does_not_know_get_an_empty_object() {
    let azkaban = Azkaban::start().await;
    assert_eq!(azkaban.get("/schedule", &[("ajax", "zz")]).await.text(), "{ }");
    let reply = azkaban.post("/schedule", &[("action", "zz")]).await;
    assert_eq!(
        (reply.text().as_str(), reply.cookie("azkaban.failure.message")),
        ("{ }", Some(";Path=/"))
    );
}
