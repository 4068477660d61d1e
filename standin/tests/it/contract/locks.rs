//! Locking flows.

use crate::support::azkaban::Azkaban;
use crate::support::zips::jobs;

#[tokio::test]
async fn a_flow_is_locked_with_a_reason_and_unlocked() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    for (locked, reason, shown) in [
        ("TRUE", Some("why"), "\"why\""),
        ("true", None, "null"),
        ("no", Some("x"), "null"),
    ] {
        let mut fields = vec![("flowName", "f"), ("isLocked", locked)];
        fields.extend(reason.map(|reason| ("flowLockErrorMessage", reason)));
        let reply = project.ajax("setFlowLock", &fields).await;
        let is_locked = locked.eq_ignore_ascii_case("true");
        let expected = format!(
            "{{\n  \"isLocked\" : {is_locked},\n  \"flowLockErrorMessage\" : {shown},\n  \"project\" : \"{}\",\n  \"projectId\" : \
             {},\n  \"flowId\" : \"f\"\n}}",
            project.name, project.id
        );
        assert_eq!(reply.text(), expected);
        assert_eq!(
            project.ajax("isFlowLocked", &[("flowName", "f")]).await.json()["isLocked"],
            is_locked
        );
    }
    let reply = project.ajax("setFlowLock", &[("flowName", "f")]).await;
    assert_eq!(reply.title(), "Error 500 Missing required parameter 'isLocked'.");
    project.delete().await;
}

#[tokio::test]
async fn a_lock_survives_uploads_as_long_as_its_flow() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let with = jobs(&[("f", ""), ("g", "")]);
    project.install(&with).await;
    project
        .ajax("setFlowLock", &[("flowName", "f"), ("isLocked", "true")])
        .await;
    project.install(&with).await;
    assert_eq!(
        project.ajax("isFlowLocked", &[("flowName", "f")]).await.json()["isLocked"],
        true
    );
    assert_eq!(
        project.ajax("fetchflowjobs", &[("flow", "f")]).await.json()["isLocked"],
        true
    );
    project.install(&jobs(&[("g", "")])).await;
    project.install(&with).await;
    assert_eq!(
        project.ajax("isFlowLocked", &[("flowName", "f")]).await.json()["isLocked"],
        false
    );
    project.delete().await;
}

#[tokio::test]
async fn a_locked_flow_is_not_scheduled() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    project
        .ajax("setFlowLock", &[("flowName", "f"), ("isLocked", "true")])
        .await;
    let fields = [
        ("ajax", "scheduleCronFlow"),
        ("projectName", &project.name),
        ("flow", "f"),
        ("cronExpression", "0 0 3 ? * *"),
    ];
    let json = azkaban.post("/schedule", &fields).await.json();
    assert_eq!(
        json["message"],
        format!("Flow f in project {} is locked.", project.name)
    );
    assert_eq!(json["status"], "error");
    project.delete().await;
}
