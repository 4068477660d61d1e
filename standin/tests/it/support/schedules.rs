//! Schedules of a project of the test's own.

use super::azkaban::{Azkaban, Project};
use super::zips::jobs;

/// A project with flows `f` and `g`, which can be scheduled.
pub(crate) async fn scheduled(azkaban: &Azkaban) -> Project<'_> {
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", ""), ("g", "")])).await;
    project
}

/// The schedule of a flow, or an empty object.
pub(crate) async fn fetch(project: &Project<'_>, flow: &str) -> serde_json::Value {
    let fields = [
        ("ajax", "fetchSchedule"),
        ("projectId", project.id.as_str()),
        ("flowId", flow),
    ];
    project.azkaban.get("/schedule", &fields).await.json()
}

/// The schedules of one project in the list of all.
pub(crate) async fn listed(project: &Project<'_>) -> Vec<serde_json::Value> {
    let json = project
        .azkaban
        .get("/schedule", &[("ajax", "fetchSchedules")])
        .await
        .json();
    let items = json["items"].as_array().cloned().unwrap_or_default();
    items
        .into_iter()
        .filter(|item| item["projectname"] == project.name)
        .collect()
}
