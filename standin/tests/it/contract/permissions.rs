//! Who may do what on a project.

use serde_json::{Value, json};

use crate::support::azkaban::{Azkaban, Project};
use crate::support::http::Request;

const RIGHTS: [&str; 5] = ["admin", "read", "write", "execute", "schedule"];

/// Sets exactly these rights.
async fn set(project: &Project<'_>, call: &str, name: &str, group: bool, rights: &[&str]) -> Value {
    let flags: Vec<_> = RIGHTS
        .iter()
        .map(|right| {
            (
                format!("permissions[{right}]"),
                rights.contains(right).to_string(),
            )
        })
        .collect();
    let group = group.to_string();
    let mut fields = vec![
        ("ajax", call),
        ("project", &project.name),
        ("name", name),
        ("group", &group),
    ];
    fields.extend(flags.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    project.azkaban.post("/manager", &fields).await.json()
}

#[tokio::test]
async fn a_new_project_belongs_to_its_creator() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let expected = format!(
        "{{\n  \"permissions\" : [ {{\n    \"permission\" : [ \"ADMIN\" ],\n    \"username\" : \"azkaban\"\n  }} ],\n  \"project\" : \
         \"{}\",\n  \"projectId\" : {}\n}}",
        project.name, project.id
    );
    assert_eq!(project.ajax("getPermissions", &[]).await.text(), expected);
    assert_eq!(
        project.ajax("getGroupPermissions", &[]).await.json()["permissions"],
        json!([])
    );
    assert_eq!(
        project.ajax("getProxyUsers", &[]).await.json()["proxyUsers"],
        json!(["azkaban"])
    );
    assert_eq!(
        project.ajax("checkForWritePermission", &[]).await.json()["hasWritePermission"],
        true
    );
    project.delete().await;
}

#[tokio::test]
async fn each_call_names_the_right_it_needs() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let other = azkaban.other().await;
    for (call, right) in [
        ("fetchprojectflows", "READ"),
        ("fetchflowgraph", "READ"),
        ("fetchProjectLogs", "READ"),
        ("getPermissions", "READ"),
        ("fetchFlowExecutions", "READ"),
        ("changeDescription", "WRITE"),
        ("setFlowLock", "ADMIN"),
        ("addPermission", "ADMIN"),
    ] {
        let reply = project.ajax_as(&other, call, &[]).await;
        let error = format!("Permission denied. Need {right} access.");
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (200, Some(error.as_str())),
            "{call}"
        );
    }
    assert_eq!(
        project.ajax_as(&other, "getProjectId", &[]).await.json()["error"],
        Value::Null
    );
    assert_eq!(
        project
            .ajax_as(&other, "checkForWritePermission", &[])
            .await
            .json()["hasWritePermission"],
        false
    );
    project.delete().await;
}

#[tokio::test]
async fn rights_are_granted_changed_and_taken_back() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let other = azkaban.other().await;
    assert_eq!(
        set(&project, "addPermission", "metrics", false, &["read"]).await["error"],
        Value::Null
    );
    assert_eq!(
        project.ajax_as(&other, "fetchprojectflows", &[]).await.json()["flows"],
        json!([])
    );
    assert_eq!(
        set(&project, "addPermission", "metrics", false, &["read"]).await["error"],
        "User permission already exists."
    );
    set(
        &project,
        "changePermission",
        "metrics",
        false,
        &["write", "admin"],
    )
    .await;
    let rights = project.ajax("getPermissions", &[]).await.json()["permissions"][1].clone();
    assert_eq!(
        rights,
        json!({"username": "metrics", "permission": ["ADMIN"]}),
        "ADMIN stands alone"
    );
    set(&project, "changePermission", "metrics", false, &[]).await;
    let denied = project.ajax_as(&other, "fetchprojectflows", &[]).await.json();
    assert_eq!(denied["error"], "Permission denied. Need READ access.");
    let unknown = set(&project, "changePermission", "metrics", false, &["read"]).await;
    assert_eq!(unknown["error"], "Permissions for metrics cannot be found.");
    let log: Vec<_> = project
        .log()
        .await
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    let told =
        ["removed.", "set to ADMIN", "set to READ"].map(|what| format!("Permission for user metrics {what}"));
    assert_eq!(log[..3], told);
    project.delete().await;
}

#[tokio::test]
async fn users_are_checked_and_groups_are_not() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    assert_eq!(
        set(&project, "addPermission", "nobody", false, &["read"]).await["error"],
        "User is invalid."
    );
    assert_eq!(
        set(&project, "addPermission", "anything", true, &["read"]).await["error"],
        Value::Null
    );
    assert_eq!(
        set(&project, "addPermission", "anything", true, &["read"]).await["error"],
        "Group permission already exists."
    );
    let groups = project.ajax("getGroupPermissions", &[]).await.json()["permissions"].clone();
    assert_eq!(groups, json!([{"username": "anything", "permission": ["READ"]}]));
    project.delete().await;
}

#[tokio::test]
async fn a_session_in_a_cookie_may_not_change_rights_without_a_token() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    for call in [
        "addPermission",
        "changePermission",
        "addProxyUser",
        "removeProxyUser",
    ] {
        let request = Request::form(
            "/manager",
            &[("ajax", call), ("project", &project.name), ("name", "metrics")],
        );
        let reply = azkaban
            .send(request.header(
                "Cookie",
                &format!("azkaban.browser.session.id={}", azkaban.session),
            ))
            .await;
        assert_eq!(reply.text(), "{\n  \"error\" : \"CSRF validation failed.\"\n}");
    }
    project.delete().await;
}

#[tokio::test]
async fn proxies_come_from_the_users_own_list_only() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let error = project.ajax("addProxyUser", &[("name", "x")]).await.json()["error"].clone();
    assert_eq!(error, "User azkaban has no permission to add x as proxy user.");
    project.ajax("removeProxyUser", &[("name", "azkaban")]).await;
    assert_eq!(
        project.ajax("getProxyUsers", &[]).await.json()["proxyUsers"],
        json!([])
    );
    assert_eq!(
        project.log().await[0].1,
        "Proxy user azkaban has been removed form the project."
    );
    project.delete().await;
}

#[tokio::test]
async fn deleting_and_purging_need_an_administrator() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let other = azkaban.other().await;
    let reply = other
        .get("/manager", &[("project", &project.name), ("delete", "true")])
        .await;
    let back = format!("http://{}/manager?project={}", azkaban.addr, project.name);
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some(back.as_str()))
    );
    let cookie = "\"Cannot delete. User 'metrics' is not an ADMIN.\";Path=/";
    assert_eq!(reply.cookie("azkaban.failure.message"), Some(cookie));
    azkaban
        .get("/manager", &[("project", &project.name), ("delete", "true")])
        .await;
    let json = other
        .get("/manager", &[("project", &project.id), ("purge", "true")])
        .await
        .json();
    assert_eq!(
        json,
        json!({"success": false, "error": "Cannot purge. User 'metrics' is not an ADMIN."})
    );
}
