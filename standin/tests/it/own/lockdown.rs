//! Answers of a server with settings that a fresh one has not.

use azkaban_standin::Options;

use crate::support::azkaban::Azkaban;
use crate::support::http::Request;
use crate::support::zips::jobs;

#[tokio::test]
async fn projects_may_be_created_by_administrators_only() {
    let azkaban = Azkaban::standin(Options {
        lockdown_create: true,
        ..Options::default()
    })
    .await;
    azkaban.project().await;
    let other = azkaban.other().await;
    let fields = [("action", "create"), ("name", "x"), ("description", "d")];
    assert_eq!(
        other.post("/manager", &fields).await.text(),
        "{\"message\":\"User metrics doesn't have permission to create projects.\",\"status\":\"error\"}"
    );
}

#[tokio::test]
async fn uploads_may_be_for_administrators_only() {
    let azkaban = Azkaban::standin(Options {
        lockdown_upload: true,
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let mine = crate::support::azkaban::Project {
        azkaban: &azkaban.other().await,
        name: project.name.clone(),
        id: project.id.clone(),
    };
    let reply = mine.upload(&jobs(&[("f", "")])).await;
    assert_eq!(reply.status, 403);
    assert_eq!(
        reply.json()["error"],
        "Project uploading is locked out. Only admin users and users with special permissions can upload projects. User \
         metrics doesn't have permission to upload project."
    );
}

#[tokio::test]
async fn sessions_of_one_user_from_one_address_may_be_counted() {
    let azkaban = Azkaban::standin(Options {
        sessions_per_user: Some(2),
        ..Options::default()
    })
    .await;
    let login = async |user: &str| {
        let form = [("action", "login"), ("username", user), ("password", user)];
        Request::form("/", &form).send(azkaban.addr).await.json()
    };
    assert_eq!(login("azkaban").await["status"], "success");
    assert_eq!(
        login("azkaban").await["error"],
        "Potential DDoS found, the number of sessions for this user and IP reached allowed limit (2)."
    );
    assert_eq!(login("metrics").await["status"], "success");
}
