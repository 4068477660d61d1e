//! Executions that end well, and what is told of them.

use serde_json::json;

use crate::support::azkaban::Azkaban;
use crate::support::running::{statuses, without_times};
use crate::support::zips::{jobs, v2, zip};

#[tokio::test]
async fn a_flow_that_was_not_started_is_not_running() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let running = async |project: &str| {
        azkaban
            .get(
                "/executor",
                &[("ajax", "getRunning"), ("project", project), ("flow", "f")],
            )
            .await
            .text()
    };
    assert_eq!(running(&project.name).await, "{ }");
    assert_eq!(
        running("no-such-project").await,
        "{\n  \"error\" : \"Project 'null' not found.\"\n}"
    );
    project.delete().await;
}

#[tokio::test]
async fn an_unknown_execution_is_told() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban
        .get("/executor", &[("ajax", "fetchexecflow"), ("execid", "999999999")])
        .await;
    assert_eq!(
        reply.text(),
        "{\n  \"error\" : \"Cannot find execution '999999999'\"\n}"
    );
}

#[tokio::test]
async fn a_call_it_does_not_know_needs_a_project_and_does_nothing() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban
        .get("/executor", &[("ajax", "zz"), ("project", "x")])
        .await;
    assert_eq!(reply.text(), "{\n  \"project\" : \"x\"\n}");
    let reply = azkaban.get("/executor", &[("ajax", "zz")]).await;
    assert_eq!(
        (reply.status, reply.title().as_str()),
        (500, "Error 500 Missing required parameter 'project'.")
    );
}

/// `f` runs two commands after `g`.
fn two_jobs() -> Vec<u8> {
    zip(&[
        (
            "f.job",
            "type=command\ncommand=echo one\ncommand.1=echo two\ndependencies=g\n",
        ),
        ("g.job", "type=noop\n"),
    ])
}

#[tokio::test]
async fn an_execution_is_told_job_by_job() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&two_jobs()).await;
    let reply = project.execute("f", &[]).await;
    let id = reply.json()["execid"].as_i64().unwrap();
    assert_eq!(
        reply.text(),
        format!(
            "{{\n  \"project\" : \"{}\",\n  \"message\" : \"Execution queued successfully with exec id {id}\",\n  \"flow\" : \
             \"f\",\n  \"execid\" : {id}\n}}",
            project.name
        )
    );
    let tree = without_times(project.end_of("f", id).await);
    let expected = json!({
        "project": project.name, "updateTime": null, "type": null, "attempt": 0, "execid": id, "submitTime": null,
        "nodes": [
            {"nestedId": "f", "in": ["g"], "startTime": null, "updateTime": null, "id": "f", "endTime": null,
             "type": "command", "attempt": 0, "status": "SUCCEEDED"},
            {"nestedId": "g", "startTime": null, "updateTime": null, "id": "g", "endTime": null,
             "type": "noop", "attempt": 0, "status": "SUCCEEDED"},
        ],
        "nestedId": "f", "submitUser": "azkaban", "startTime": null, "id": "f", "endTime": null,
        "projectId": project.id.parse::<i64>().unwrap(), "flowId": "f", "flow": "f", "status": "SUCCEEDED",
    });
    assert_eq!(tree, expected);
    let text = azkaban.about("fetchexecflow", id, &[]).await.text();
    let keys: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("  \""))
        .map(|line| line.split('"').nth(1).unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "project",
            "updateTime",
            "type",
            "attempt",
            "execid",
            "submitTime",
            "nodes",
            "nestedId",
            "submitUser",
            "startTime",
            "id",
            "endTime",
            "projectId",
            "flowId",
            "flow",
            "status"
        ]
    );
    project.delete().await;
}

#[tokio::test]
async fn jobs_run_in_the_order_of_their_dependencies() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&jobs(&[
            ("c", "dependencies=b"),
            ("b", "dependencies=a"),
            ("a", ""),
        ]))
        .await;
    let (_, tree) = project.executed("c", &[]).await;
    let time = |job: &str, key: &str| {
        let nodes = tree["nodes"].as_array().unwrap().iter();
        nodes.into_iter().find(|node| node["id"] == job).unwrap()[key]
            .as_i64()
            .unwrap()
    };
    assert!(time("a", "endTime") <= time("b", "startTime") && time("b", "endTime") <= time("c", "startTime"));
    assert!(tree["submitTime"].as_i64() <= tree["startTime"].as_i64());
    project.delete().await;
}

#[tokio::test]
async fn an_update_tells_what_changed_since() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&two_jobs()).await;
    let (id, _) = project.executed("f", &[]).await;
    let all = azkaban
        .about("fetchexecflowupdate", id, &[("lastUpdateTime", "-1")])
        .await
        .json();
    let expected = json!({
        "nodes": [
            {"startTime": null, "updateTime": null, "id": "f", "endTime": null, "attempt": 0, "status": "SUCCEEDED"},
            {"startTime": null, "updateTime": null, "id": "g", "endTime": null, "attempt": 0, "status": "SUCCEEDED"},
        ],
        "startTime": null, "updateTime": null, "id": "f", "endTime": null, "attempt": 0, "flow": "f",
        "status": "SUCCEEDED",
    });
    assert_eq!(without_times(all), expected);
    let none = azkaban
        .about("fetchexecflowupdate", id, &[("lastUpdateTime", "99999999999999")])
        .await
        .json();
    assert_eq!(
        without_times(none),
        json!({"startTime": null, "updateTime": null, "endTime": null, "status": "SUCCEEDED"})
    );
    project.delete().await;
}

#[tokio::test]
async fn a_flows_executions_are_listed_newest_first() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let (first, _) = project.executed("f", &[]).await;
    let (second, _) = project.executed("f", &[]).await;
    let page = async |start: &str, length: &str| {
        project
            .ajax(
                "fetchFlowExecutions",
                &[("flow", "f"), ("start", start), ("length", length)],
            )
            .await
            .json()
    };
    let one = |id: i64| {
        json!({"submitTime": null, "submitUser": "azkaban", "startTime": null, "endTime": null, "flowId": "f",
               "projectId": project.id.parse::<i64>().unwrap(), "execId": id, "status": "SUCCEEDED"})
    };
    let expected = json!({"total": 2, "executions": [one(second), one(first)], "length": 10, "project": project.name,
                          "from": 0, "projectId": project.id.parse::<i64>().unwrap(), "flow": "f"});
    assert_eq!(without_times(page("0", "10").await), expected);
    assert_eq!(
        without_times(page("1", "1").await)["executions"],
        json!([one(first)])
    );
    let last = project
        .ajax("fetchLastSuccessfulFlowExecution", &[("flow", "f")])
        .await
        .json();
    assert_eq!(
        (&last["success"], &last["message"], &last["execId"]),
        (&json!("true"), &json!(""), &json!(second))
    );
    project.delete().await;
}

#[tokio::test]
async fn an_embedded_flow_of_flow_1_runs_within_the_flow() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("top.job", "type=noop\ndependencies=emb\n"),
            ("emb.job", "type=flow\nflow.name=end\ndependencies=pre\n"),
            ("pre.job", "type=noop\n"),
            ("end.job", "type=noop\ndependencies=d\n"),
            (
                "d.job",
                "type=command\ncommand=echo in ${azkaban.flow.nested.path}\n",
            ),
        ]))
        .await;
    let (id, tree) = project.executed("top", &[]).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    assert_eq!(
        statuses(&tree),
        [
            "pre SUCCEEDED",
            "top SUCCEEDED",
            "emb SUCCEEDED",
            "emb:d SUCCEEDED",
            "emb:end SUCCEEDED"
        ]
    );
    let nodes = tree["nodes"].as_array().unwrap();
    let emb = nodes.iter().find(|node| node["id"] == "emb").unwrap();
    assert_eq!(
        (&emb["type"], &emb["flow"], &emb["flowId"], &emb["in"]),
        (&json!("flow"), &json!("end"), &json!("end"), &json!(["pre"]))
    );
    assert!(azkaban.log(id, Some("emb:d")).await.contains("INFO - in emb:d\n"));
    project.delete().await;
}

#[tokio::test]
async fn an_embedded_flow_of_flow_2_runs_within_the_flow() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let flow = "config:\n  who: flow\n  level: flow\nnodes:\n- name: j1\n  type: noop\n- name: sub\n  type: flow\n  dependsOn: \
                [j1]\n  config:\n    level: sub\n  nodes:\n  - name: k1\n    type: command\n    config:\n      command: echo \
                ${who} ${level}\n  - name: k2\n    type: noop\n    dependsOn: [k1]\n";
    project.install(&v2(&[("g", flow)])).await;
    let (id, tree) = project.executed("g", &[]).await;
    assert_eq!(
        statuses(&tree),
        [
            "sub SUCCEEDED",
            "sub:k1 SUCCEEDED",
            "sub:k2 SUCCEEDED",
            "j1 SUCCEEDED"
        ]
    );
    assert!(
        azkaban
            .log(id, Some("sub:k1"))
            .await
            .contains("INFO - flow sub\n")
    );
    project.delete().await;
}

#[tokio::test]
async fn a_version_is_kept_as_long_as_an_execution_uses_it() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[("f.job", "type=command\ncommand=sleep 4\n")]))
        .await;
    let id = project.begin("f", &[]).await;
    project.until_job(id, "f", "RUNNING").await;
    for _ in 0..4 {
        project.install(&jobs(&[("f", "")])).await;
    }
    assert_eq!(project.download(Some("1")).await.status, 200, "version 1 runs");
    let tree = project.end_of("f", id).await;
    assert_eq!(
        tree["status"], "SUCCEEDED",
        "what runs is the version that was started"
    );
    project.install(&jobs(&[("f", "")])).await;
    assert_eq!(project.download(Some("1")).await.status, 500);
    project.delete().await;
}

#[tokio::test]
async fn a_flow_writes_to_those_its_properties_name() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let end = "type=noop\ndependencies=a\nsuccess.emails=S@x.y , t@x.y\n";
    project
        .install(&zip(&[
            ("f.job", end),
            ("a.job", "type=noop\nfailure.emails=nobody@x.y\n"),
            ("all.properties", "notify.emails=n@x.y\n"),
        ]))
        .await;
    let told = async |fields: &[(&str, &str)]| {
        let json = azkaban.executor("flowInfo", fields).await.json();
        (json["successEmails"].clone(), json["failureEmails"].clone())
    };
    let flow = [("project", project.name.as_str()), ("flow", "f")];
    let own = (json!(["s@x.y", "t@x.y", "n@x.y"]), json!(["n@x.y"]));
    assert_eq!(told(&flow).await, own);
    let given = [("successEmails", "g@x.y"), ("failureEmails", "g@x.y")];
    let (id, _) = project.executed("f", &given).await;
    assert_eq!(
        told(&[("execid", &id.to_string())]).await,
        own,
        "without a word, nothing is overridden"
    );
    let override_one = [given[0], given[1], ("failureEmailsOverride", "true")];
    let (id, _) = project.executed("f", &override_one).await;
    assert_eq!(
        told(&[("execid", &id.to_string())]).await,
        (own.0, json!(["g@x.y"]))
    );
    let flow = "config:\n  failure.emails: f@x.y\nnodes:\n- name: a\n  type: noop\n";
    project.install(&v2(&[("g", flow)])).await;
    let flow = [("project", project.name.as_str()), ("flow", "g")];
    assert_eq!(told(&flow).await, (json!([]), json!(["f@x.y"])));
    project.delete().await;
}
