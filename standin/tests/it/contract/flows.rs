//! Reading flows and jobs.

use crate::support::azkaban::{Azkaban, Project};
use crate::support::zips::{nested, zip};

async fn small(azkaban: &Azkaban) -> Project<'_> {
    let project = azkaban.project().await;
    let files = [
        ("f1.job", "type=command\ncommand=echo hi\nretries=2\n"),
        ("f2.job", "type=noop\ndependencies=a,b\n"),
        ("a.job", "type=command\ncommand=ls\n"),
        ("b.job", "type=command\ncommand=ls\ndependencies=a\n"),
        ("x.properties", "k=v\n"),
    ];
    project.install(&zip(&files)).await;
    project
}

/// An answer with the project's name and number put in for `PROJECT` and `ID`.
fn filled(project: &Project<'_>, text: &str) -> String {
    text.replace("PROJECT", &project.name).replace("ID", &project.id)
}

#[tokio::test]
async fn flows_are_listed_before_and_after_the_first_upload() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let expected = "{\n  \"flows\" : [ ],\n  \"project\" : \"PROJECT\",\n  \"projectId\" : ID\n}";
    assert_eq!(
        project.ajax("fetchprojectflows", &[]).await.text(),
        filled(&project, expected)
    );
    project.delete().await;
    let project = small(&azkaban).await;
    let expected = "{\n  \"flows\" : [ {\n    \"flowId\" : \"f1\"\n  }, {\n    \"flowId\" : \"f2\"\n  } ],\n  \"project\" : \
                    \"PROJECT\",\n  \"projectId\" : ID\n}";
    assert_eq!(
        project.ajax("fetchprojectflows", &[]).await.text(),
        filled(&project, expected)
    );
    project.delete().await;
}

#[tokio::test]
async fn a_graph_has_nodes_and_their_inputs_sorted() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    let expected = r#"{
  "nodes" : [ {
    "id" : "a",
    "type" : "command"
  }, {
    "in" : [ "a" ],
    "id" : "b",
    "type" : "command"
  }, {
    "in" : [ "a", "b" ],
    "id" : "f2",
    "type" : "noop"
  } ],
  "project" : "PROJECT",
  "projectId" : ID,
  "flow" : "f2"
}"#;
    assert_eq!(
        project.ajax("fetchflowgraph", &[("flow", "f2")]).await.text(),
        filled(&project, expected)
    );
    project.delete().await;
}

#[tokio::test]
async fn an_embedded_flow_stands_inside_its_node() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&nested()).await;
    let expected = r#"{
  "nodes" : [ {
    "id" : "j1",
    "type" : "noop"
  }, {
    "nodes" : [ {
      "id" : "k1",
      "type" : "command"
    }, {
      "condition" : "one_success",
      "in" : [ "k1" ],
      "id" : "k2",
      "type" : "noop"
    } ],
    "in" : [ "j1" ],
    "id" : "sub",
    "type" : "flow",
    "flowId" : "g:sub",
    "flow" : "g:sub"
  } ],
  "project" : "PROJECT",
  "projectId" : ID,
  "flow" : "g"
}"#;
    assert_eq!(
        project.ajax("fetchflowgraph", &[("flow", "g")]).await.text(),
        filled(&project, expected)
    );
    let sub = project.ajax("fetchflowgraph", &[("flow", "g:sub")]).await.json();
    assert_eq!(
        sub["nodes"].as_array().map(Vec::len),
        Some(2),
        "it can be asked for by its own id"
    );
    project.delete().await;
}

#[tokio::test]
async fn jobs_come_by_level_with_what_they_depend_on() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    let expected = r#"{
  "nodes" : [ {
    "level" : 0,
    "dependents" : [ "b" ],
    "id" : "a",
    "dependencies" : [ ]
  }, {
    "level" : 1,
    "dependents" : [ ],
    "id" : "b",
    "dependencies" : [ "a" ]
  } ],
  "isLocked" : false,
  "project" : "PROJECT",
  "projectId" : ID,
  "flowId" : "b"
}"#;
    // Two jobs: with more, the order of dependents is the server's whim.
    project
        .install(&zip(&[
            ("a.job", "type=noop"),
            ("b.job", "type=noop\ndependencies=a"),
        ]))
        .await;
    assert_eq!(
        project.ajax("fetchflowjobs", &[("flow", "b")]).await.text(),
        filled(&project, expected)
    );
    project.delete().await;
}

#[tokio::test]
async fn details_are_the_types_of_its_jobs() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    let expected = "{\n  \"project\" : \"PROJECT\",\n  \"projectId\" : ID,\n  \"jobTypes\" : [ \"noop\", \"command\" ]\n}";
    assert_eq!(
        project.ajax("fetchflowdetails", &[("flow", "f2")]).await.text(),
        filled(&project, expected)
    );
    project.delete().await;
}

#[tokio::test]
async fn a_job_is_read_back_with_its_own_properties() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    let expected = r#"{
  "project" : "PROJECT",
  "id" : "b",
  "type" : "command",
  "projectId" : ID,
  "flow" : "f2",
  "props" : {
    "type" : "command",
    "command" : "ls",
    "dependencies" : "a"
  }
}"#;
    let reply = project
        .ajax("fetchflownodedata", &[("flow", "f2"), ("node", "b")])
        .await;
    assert_eq!(reply.text(), filled(&project, expected));
    let props =
        "{\n    \"type\" : \"command\",\n    \"command\" : \"ls\",\n    \"dependencies\" : \"a\"\n  }";
    let expected = format!(
        "{{\n  \"jobName\" : \"b\",\n  \"generalParams\" : {props},\n  \"project\" : \"PROJECT\",\n  \"jobType\" : \"command\",\n  \
         \"projectId\" : ID,\n  \"overrideParams\" : {props}\n}}"
    );
    let reply = project
        .ajax("fetchJobInfo", &[("flowName", "f2"), ("jobName", "b")])
        .await;
    assert_eq!(reply.text(), filled(&project, &expected));
    project.delete().await;
}

#[tokio::test]
async fn a_job_of_flow_2_0_is_read_back_from_its_flow_file() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&nested()).await;
    let json = project
        .ajax("fetchJobInfo", &[("flowName", "g:sub"), ("jobName", "k1")])
        .await
        .json();
    assert_eq!(
        json["generalParams"],
        serde_json::json!({"type": "command", "command": "ls"})
    );
    let json = project
        .ajax("fetchflownodedata", &[("flow", "g"), ("node", "sub")])
        .await
        .json();
    assert_eq!(json["props"], serde_json::json!({"type": "flow", "a": "b"}));
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["flow"], "g:sub");
    project.delete().await;
}

#[tokio::test]
async fn an_unknown_flow_or_job_is_told_in_each_calls_own_words() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    let in_project = format!("Flow zz not found in project {}", project.name);
    for (call, flow, job, error) in [
        ("fetchflowgraph", "zz", "b", in_project.as_str()),
        ("fetchflowdetails", "zz", "b", "Flow zz not found."),
        ("fetchflownodedata", "f2", "zz", "Job zz doesn't exist."),
        ("fetchJobInfo", "zz", "b", &in_project),
        ("fetchJobInfo", "f2", "zz", "Job zz not found in flow f2"),
        ("isFlowLocked", "zz", "b", &in_project),
        (
            "fetchflowgraph",
            "F2",
            "b",
            &format!("Flow F2 not found in project {}", project.name),
        ),
    ] {
        let fields = [
            ("flow", flow),
            ("flowName", flow),
            ("node", job),
            ("jobName", job),
        ];
        let reply = project.ajax(call, &fields).await;
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (200, Some(error)),
            "{call}"
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn two_calls_fall_over_an_unknown_flow() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    for call in ["fetchflowjobs", "fetchflownodedata"] {
        let reply = project.ajax(call, &[("flow", "zz"), ("node", "zz")]).await;
        assert_eq!(reply.status, 500);
        assert!(
            reply
                .title()
                .starts_with("Error 500 Cannot invoke \"azkaban.flow.Flow.getNode"),
            "{}",
            reply.title()
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn a_missing_parameter_is_an_exception_with_its_name() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    for (call, missing) in [
        ("fetchflowgraph", "flow"),
        ("fetchflowjobs", "flow"),
        ("fetchflowdetails", "flow"),
        ("fetchflownodedata", "flow"),
        ("fetchJobInfo", "flowName"),
        ("isFlowLocked", "flowName"),
        ("setFlowLock", "flowName"),
        ("fetchFlowExecutions", "flow"),
    ] {
        let reply = project.ajax(call, &[]).await;
        let text = format!("Missing required parameter '{missing}'.");
        assert_eq!(
            (reply.status, reply.reason.as_str(), reply.title()),
            (500, text.as_str(), format!("Error 500 {text}"))
        );
        assert_eq!(
            reply.header("content-type"),
            Some("text/html; charset=iso-8859-1")
        );
        assert!(
            reply
                .text()
                .contains(&format!("<pre>javax.servlet.ServletException: {text}\n"))
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn a_flow_that_never_ran_has_no_executions() {
    let azkaban = Azkaban::start().await;
    let project = small(&azkaban).await;
    for flow in ["f1", "zz"] {
        let json = project
            .ajax(
                "fetchFlowExecutions",
                &[("flow", flow), ("start", "0"), ("length", "10")],
            )
            .await
            .json();
        assert_eq!(
            (&json["total"], &json["executions"]),
            (&serde_json::json!(0), &serde_json::json!([]))
        );
        assert_eq!(
            (
                json["flow"].as_str(),
                json["from"].as_i64(),
                json["length"].as_i64()
            ),
            (Some(flow), Some(0), Some(10))
        );
    }
    let json = project
        .ajax("fetchLastSuccessfulFlowExecution", &[("flow", "f1")])
        .await
        .json();
    assert_eq!(
        (&json["success"], &json["message"]),
        (&"false".into(), &"This flow has no successful run.".into())
    );
    project.delete().await;
}
