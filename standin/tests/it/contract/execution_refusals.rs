//! What `/executor` refuses, and in which words.

use serde_json::json;

use crate::support::azkaban::{Azkaban, unused_name};
use crate::support::zips::jobs;

#[tokio::test]
async fn unknown_flows_and_projects_are_told_apart() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let json = project.execute("zz", &[]).await.json();
    let error = json["error"].as_str().unwrap();
    assert!(
        error.starts_with("Flow 'zz' cannot be found in project azkaban.project.Project@"),
        "{error}"
    );
    assert_eq!((&json["flow"], &json["execid"]), (&json!("zz"), &json!(null)));
    let name = unused_name();
    let reply = azkaban
        .executor("executeFlow", &[("project", &name), ("flow", "f")])
        .await;
    assert_eq!(
        reply.text(),
        format!("{{\n  \"project\" : \"{name}\",\n  \"error\" : \"Project '{name}' doesn't exist.\"\n}}")
    );
    project.delete().await;
}

#[tokio::test]
async fn a_locked_flow_is_not_started_and_that_is_no_error() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    project
        .ajax("setFlowLock", &[("flowName", "f"), ("isLocked", "true")])
        .await;
    assert_eq!(
        project.execute("f", &[]).await.json(),
        json!({"project": project.name, "message": format!("Flow f for project {} is locked.", project.name), "flow": "f",
               "execid": -1})
    );
    project.delete().await;
}

#[tokio::test]
async fn missing_and_wrong_parameters_are_html_500() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let (id, _) = project.executed("f", &[]).await;
    let id = id.to_string();
    let name = project.name.as_str();
    let id = id.as_str();
    for (call, fields, title) in [
        (
            "executeFlow",
            vec![("project", name)],
            "Missing required parameter 'flow'.",
        ),
        (
            "executeFlow",
            vec![("flow", "f")],
            "Missing required parameter 'project'.",
        ),
        ("cancelFlow", vec![], "Missing required parameter 'project'."),
        (
            "getRunning",
            vec![("project", name)],
            "Missing required parameter 'flow'.",
        ),
        ("fetchexecflow", vec![("execid", "x")], "For input string: \"x\""),
        (
            "fetchexecflow",
            vec![("execid", "99999999999")],
            "For input string: \"99999999999\"",
        ),
        (
            "fetchexecflowupdate",
            vec![("execid", id)],
            "Missing required parameter 'lastUpdateTime'.",
        ),
        (
            "fetchExecJobLogs",
            vec![("execid", id), ("jobId", "f")],
            "Missing required parameter 'offset'.",
        ),
        (
            "fetchExecFlowLogs",
            vec![("execid", id), ("offset", "0")],
            "Missing required parameter 'length'.",
        ),
        (
            "fetchExecJobLogs",
            vec![("execid", id), ("offset", "0"), ("length", "1")],
            "Missing required parameter 'jobId'.",
        ),
        (
            "executeFlow",
            vec![("project", name), ("flow", "f"), ("disabled", "{\"a\":1}")],
            "class java.util.HashMap cannot be cast to class java.util.List (java.util.HashMap and java.util.List are in \
             module java.base of loader 'bootstrap')",
        ),
    ] {
        let reply = azkaban.executor(call, &fields).await;
        assert_eq!(
            (reply.status, reply.title()),
            (500, format!("Error 500 {title}")),
            "{call} {fields:?}"
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn options_nobody_understands_keep_a_flow_from_starting() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let null = "Cannot invoke \"azkaban.executor.DisabledJob.isEmbeddedFlow()\" because \"disabled\" is null";
    for (name, value, error) in [
        (
            "disabled",
            "x",
            "Cannot invoke \"java.util.Collection.toArray()\" because \"c\" is null",
        ),
        ("disabled", "[1]", null),
        ("disabled", "[{\"id\": \"f\"}]", null),
        (
            "flowOverride[flowPriority]",
            "x",
            "flowPriority should be an integer",
        ),
    ] {
        assert_eq!(
            project.execute("f", &[(name, value)]).await.json(),
            json!({"project": project.name, "error": format!("Error submitting flow f. {error}"), "flow": "f", "execid": -1}),
            "{name}={value}"
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn rights_are_asked_for_in_the_callers_name() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let (id, _) = project.executed("f", &[]).await;
    let other = azkaban.other().await;
    let flow = [("project", project.name.as_str()), ("flow", "f")];
    let error = |right: &str| {
        format!(
            "User 'metrics' doesn't have {right} permissions on {}",
            project.name
        )
    };
    for (call, right) in [
        ("fetchexecflow", "READ"),
        ("flowInfo", "READ"),
        ("fetchExecFlowLogs", "READ"),
        ("fetchExecJobLogs", "READ"),
        ("cancelFlow", "EXECUTE"),
        ("pauseFlow", "EXECUTE"),
        ("resumeFlow", "EXECUTE"),
    ] {
        let reply = other.about(call, id, &[]).await;
        assert_eq!(reply.json(), json!({ "error": error(right) }), "{call}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    assert_eq!(
        other.executor("getRunning", &flow).await.json(),
        json!({ "error": error("EXECUTE") })
    );
    assert_eq!(
        other.executor("flowInfo", &flow).await.json(),
        json!({ "error": error("READ") })
    );
    assert_eq!(
        other.executor("executeFlow", &flow).await.json(),
        json!({"project": project.name, "error": format!("Project '{}' doesn't exist.", project.name)})
    );
    for (call, what) in [
        ("reloadExecutors", "refresh the executors"),
        ("disableQueueProcessor", "update queue processor"),
    ] {
        let error = format!("Only Admins are allowed to {what}");
        assert_eq!(
            other.executor(call, &[]).await.json(),
            json!({"error": error, "status": "error"})
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn what_is_over_cannot_be_steered() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let (id, _) = project.executed("f", &[]).await;
    let words = format!("Execution {id} of flow f isn't running.");
    for (call, key, words) in [
        ("cancelFlow", "error", words.as_str()),
        ("pauseFlow", "error", &words),
        ("resumeFlow", "resume", &words),
        (
            "retryFailedJobs",
            "error",
            "Flow has already finished. Please re-execute.",
        ),
    ] {
        let text = azkaban.about(call, id, &[]).await.text();
        assert_eq!(text, format!("{{\n  \"{key}\" : \"{words}\"\n}}"), "{call}");
    }
    project.delete().await;
}

#[tokio::test]
async fn jobs_nobody_knows_are_told() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let (id, _) = project.executed("f", &[]).await;
    let range = [("offset", "0"), ("length", "1")];
    let reply = azkaban
        .about(
            "fetchExecJobLogs",
            id,
            &[&range[..], &[("jobId", "nope")]].concat(),
        )
        .await;
    assert_eq!(
        reply.json(),
        json!({ "error": format!("Job nope doesn't exist in {id}") })
    );
    assert_eq!(
        reply.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let stats = azkaban
        .about("fetchExecJobStats", id, &[("jobid", "f")])
        .await
        .json();
    assert_eq!(stats, json!({ "jobStats": null }));
    assert_eq!(azkaban.about("zz", id, &[]).await.text(), "{ }");
    project.delete().await;
}

#[tokio::test]
async fn options_of_an_execution_and_of_a_flow_are_told() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&jobs(&[("f", "dependencies=g"), ("g", "")]))
        .await;
    let options = [
        ("failureAction", "finishPossible"),
        ("concurrentOption", "ignore"),
        ("flowOverride[k]", "v"),
        ("disabled", "[\"g\"]"),
        ("notifyFailureFirst", "false"),
    ];
    let (id, _) = project.executed("f", &options).await;
    assert_eq!(
        azkaban.about("flowInfo", id, &[]).await.json(),
        json!({"flowParam": {"k": "v"}, "failureAction": "finishPossible", "notifyFailureFirst": false,
               "pipelineExecution": null, "queueLevel": 0, "nodeStatus": {"f": "SUCCEEDED", "g": "SKIPPED"},
               "pipelineLevel": null, "successEmailsOverride": false, "notifyFailureLast": false, "failureEmails": [],
               "disabled": [{"name": "g", "children": null, "embeddedFlow": false}], "concurrentOptions": "ignore",
               "successEmails": [], "failureEmailsOverride": false})
    );
    let flow = |flow: &'static str| [("project", project.name.clone()), ("flow", flow.to_owned())];
    let info = async |flow: [(&str, String); 2]| {
        let fields: Vec<_> = flow.iter().map(|(name, value)| (*name, value.as_str())).collect();
        azkaban.executor("flowInfo", &fields).await.json()
    };
    assert_eq!(
        info(flow("f")).await,
        json!({"failureEmails": [], "successEmails": []})
    );
    assert_eq!(
        info(flow("nope")).await,
        json!({ "error": format!("Error loading flow. Flow nope doesn't exist in {}", project.name) })
    );
    project.delete().await;
}

#[tokio::test]
async fn the_graph_of_a_flow_to_be_scheduled_has_not_begun() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&jobs(&[("f", "dependencies=g"), ("g", "")]))
        .await;
    let fields = [("project", project.name.as_str()), ("flow", "f")];
    let json = azkaban.executor("fetchscheduledflowgraph", &fields).await.json();
    assert_eq!(
        (
            &json["execid"],
            &json["submitTime"],
            &json["submitUser"],
            &json["status"]
        ),
        (&json!(-1), &json!(-1), &json!(null), &json!("READY"))
    );
    assert_eq!(json["nodes"].as_array().unwrap().len(), 2);
    project.delete().await;
}

#[tokio::test]
async fn a_form_without_a_call_is_answered_by_nothing() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban.post("/executor", &[]).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    assert_eq!(azkaban.get("/executor", &[]).await.title(), "Azkaban Web Client");
}
