//! Creating, listing, deleting and purging projects.

use serde_json::json;

use crate::support::azkaban::{Azkaban, unused_name};
use crate::support::http::Reply;

async fn create(azkaban: &Azkaban, name: &str, description: &str) -> Reply {
    azkaban
        .post(
            "/manager",
            &[("action", "create"), ("name", name), ("description", description)],
        )
        .await
}

fn refused(message: &str) -> String {
    format!(r#"{{"message":"{message}","status":"error"}}"#)
}

#[tokio::test]
async fn a_project_is_created_with_a_compact_answer() {
    let azkaban = Azkaban::start().await;
    let name = unused_name();
    let reply = create(&azkaban, &name, "d").await;
    assert_eq!(
        reply.text(),
        format!(r#"{{"path":"manager?project={name}","action":"redirect","status":"success"}}"#)
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, None));
    azkaban
        .get("/manager", &[("project", &name), ("delete", "true")])
        .await;
}

#[tokio::test]
async fn a_name_is_taken_whatever_its_case() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    for name in [project.name.clone(), project.name.to_uppercase()] {
        assert_eq!(
            create(&azkaban, &name, "d").await.text(),
            refused("Project already exists.")
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn names_and_descriptions_are_checked() {
    let azkaban = Azkaban::start().await;
    let rule =
        "Project names must start with a letter, followed by any number of letters, digits, '-' or '_'.";
    let long = format!("{}{}", unused_name(), "x".repeat(64));
    let name = unused_name();
    for (name, description, message) in [
        ("", "d", "Project name cannot be empty."),
        (" ", "d", "Project name cannot be empty."),
        ("a", "", "Description cannot be empty."),
        ("1a", "d", rule),
        ("a b", "d", rule),
        ("a/b", "d", rule),
        (
            &long,
            "d",
            &format!("Insert project{long} for existing project failed. "),
        ),
        (
            &name,
            &"x".repeat(2049),
            &format!("Insert project{name} for existing project failed. "),
        ),
    ] {
        assert_eq!(create(&azkaban, name, description).await.text(), refused(message));
    }
    let nothing = azkaban.post("/manager", &[("action", "create")]).await;
    assert_eq!(nothing.text(), refused("Project name cannot be empty."));
}

#[tokio::test]
async fn a_bar_passes_in_a_name() {
    let azkaban = Azkaban::start().await;
    let name = format!("a|{}", unused_name());
    assert!(create(&azkaban, &name, "d").await.text().contains("success"));
    azkaban
        .get("/manager", &[("project", &name), ("delete", "true")])
        .await;
}

#[tokio::test]
async fn the_project_is_echoed_as_it_was_asked_for() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let upper = project.name.to_uppercase();
    let reply = azkaban
        .get("/manager", &[("ajax", "getProjectId"), ("project", &upper)])
        .await;
    assert_eq!(
        reply.text(),
        format!(
            "{{\n  \"project\" : \"{upper}\",\n  \"projectId\" : {}\n}}",
            project.id
        )
    );
    project.delete().await;
}

#[tokio::test]
async fn an_unknown_project_and_an_unknown_call_are_told() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let reply = azkaban
        .get(
            "/manager",
            &[("ajax", "getProjectId"), ("project", "no-such-project")],
        )
        .await;
    let expected = "{\n  \"project\" : \"no-such-project\",\n  \"error\" : \"Project no-such-project doesn't exist.\"\n}";
    assert_eq!((reply.status, reply.text().as_str()), (200, expected));
    for call in ["upload", "zzz"] {
        assert_eq!(
            project.ajax(call, &[]).await.json()["error"],
            format!("Cannot execute command {call}")
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn a_call_without_project_gets_a_page() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban.get("/manager", &[("ajax", "fetchprojectflows")]).await;
    assert_eq!(
        (reply.status, reply.title().as_str()),
        (200, "Azkaban Web Client")
    );
    assert_eq!(reply.cookie("azkaban.failure.message"), Some(";Path=/"));
}

#[tokio::test]
async fn a_form_the_manager_has_no_branch_for_gets_nothing() {
    let azkaban = Azkaban::start().await;
    for fields in [
        &[("action", "x")][..],
        &[("project", "x"), ("download", "true")],
        &[],
    ] {
        let reply = azkaban.post("/manager", fields).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    }
}

#[tokio::test]
async fn projects_are_listed_with_their_rights() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    for call in ["fetchallprojects", "fetchuserprojects"] {
        let json = azkaban.get("/index", &[("ajax", call)]).await.json();
        let listed = json["projects"]
            .as_array()
            .unwrap()
            .iter()
            .find(|listed| listed["projectName"] == project.name);
        let mut listed = listed.unwrap_or_else(|| panic!("{call}")).clone();
        assert!(listed["createdTime"].take().as_i64().unwrap() > 1_700_000_000_000);
        let expected = json!({
            "projectId": project.id.parse::<i32>().unwrap(), "projectName": project.name, "createdBy": "azkaban",
            "createdTime": null, "groupPermissions": [],
            "userPermissions": [{"first": "azkaban", "second": {"types": ["ADMIN"]}}],
        });
        assert_eq!(listed, expected);
    }
    let text = azkaban
        .get("/index", &[("ajax", "fetchuserprojects"), ("user", "nobody")])
        .await
        .text();
    assert_eq!(text, "{\n  \"projects\" : [ ]\n}");
    assert_eq!(azkaban.get("/index", &[("ajax", "x")]).await.text(), "{ }");
    project.delete().await;
}

#[tokio::test]
async fn a_deleted_project_is_gone_with_a_redirect_and_a_cookie() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let delete = [("project", project.name.as_str()), ("delete", "anything")];
    let reply = azkaban.get("/manager", &delete).await;
    let cookie = format!(
        "\"Project '{}' was successfully deleted and associated schedules are removed.\";Path=/",
        project.name
    );
    assert_eq!(
        (reply.status, reply.cookie("azkaban.success.message")),
        (302, Some(cookie.as_str()))
    );
    assert_eq!(
        reply.header("location"),
        Some(format!("http://{}/", azkaban.addr).as_str())
    );
    let reply = azkaban.get("/manager", &delete).await;
    let cookie = format!("\"Project {} doesn't exist.\";Path=/", project.name);
    assert_eq!(
        (reply.status, reply.cookie("azkaban.failure.message")),
        (302, Some(cookie.as_str()))
    );
}

#[tokio::test]
async fn a_project_made_anew_has_another_number_and_no_version() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&crate::support::zips::jobs(&[("f", "")])).await;
    azkaban
        .get("/manager", &[("project", &project.name), ("delete", "true")])
        .await;
    create(&azkaban, &project.name, "again").await;
    let id = project.ajax("getProjectId", &[]).await.json()["projectId"].to_string();
    assert_ne!(id, project.id);
    assert_eq!(project.flows().await, [""; 0]);
    let reply = project.download(None).await;
    let cookie = format!(
        "\"Project {} with version -1 doesn't exist\";Path=/",
        project.name
    );
    assert_eq!(
        (reply.status, reply.cookie("azkaban.failure.message")),
        (302, Some(cookie.as_str()))
    );
    project.delete().await;
}

#[tokio::test]
async fn only_a_deleted_project_is_purged_and_by_number_only() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let purge = async |name: &str| {
        azkaban
            .get("/manager", &[("project", name), ("purge", "true")])
            .await
            .text()
    };
    let error = |error: &str| format!("{{\n  \"success\" : false,\n  \"error\" : \"{error}\"\n}}");
    let active = error(&format!(
        "Project {} should be deleted before purging",
        project.name
    ));
    assert_eq!(purge(&project.id).await, active);
    assert_eq!(purge(&project.name).await, active);
    azkaban
        .get("/manager", &[("project", &project.name), ("delete", "true")])
        .await;
    assert_eq!(purge(&project.name).await, error("invalid project"));
    assert_eq!(purge("2000000000").await, error("invalid project"));
    assert_eq!(
        purge("99999999999").await,
        error("For input string: \\\"99999999999\\\"")
    );
    assert_eq!(purge(&project.id).await, "{\n  \"success\" : true\n}");
}

#[tokio::test]
async fn the_log_tells_newest_first_what_happened() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&crate::support::zips::jobs(&[("f", "")])).await;
    let reply = project.ajax("fetchProjectLogs", &[]).await;
    let json = reply.json();
    assert_eq!(json["columns"], json!(["user", "time", "type", "message"]));
    assert!(json["logData"][0][1].as_i64() >= json["logData"][1][1].as_i64());
    assert!(
        reply.text().contains("\"CREATED\", null ] ],\n  \"project\""),
        "{}",
        reply.text()
    );
    let newest = json["logData"][0].as_array().unwrap();
    assert_eq!(
        (&newest[0], &newest[2], &newest[3]),
        (
            &json!("azkaban"),
            &json!("UPLOADED"),
            &json!("Uploaded project files zip a.zip")
        )
    );
    let lines = async |fields: &[(&str, &str)]| {
        let json = project.ajax("fetchProjectLogs", fields).await.json();
        json["logData"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line[2].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&[("size", "1")]).await, ["UPLOADED"]);
    assert_eq!(lines(&[("skip", "1")]).await, ["CREATED"]);
    assert_eq!(
        lines(&[("size", "x"), ("skip", "y")]).await,
        ["UPLOADED", "CREATED"]
    );
    project.delete().await;
}

#[tokio::test]
async fn a_description_is_changed_and_logged() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    assert_eq!(
        project
            .ajax("changeDescription", &[("description", "new")])
            .await
            .json()
            .get("error"),
        None
    );
    let long = project
        .ajax("changeDescription", &[("description", &"x".repeat(2049))])
        .await;
    assert_eq!(
        long.json()["error"],
        format!("Error update Description, project {}", project.name)
    );
    assert_eq!(
        project.log().await[0],
        ("DESCRIPTION".to_owned(), "Description changed to new".to_owned())
    );
    let missing = project.ajax("changeDescription", &[]).await;
    assert_eq!(
        (missing.status, missing.title().as_str()),
        (500, "Error 500 Missing required parameter 'description'.")
    );
    project.delete().await;
}
