//! The calls that are short: everything but the zip itself.

use super::answer::{flow, login, project, schedule};
use super::error::Result;
use super::types::{
    Created, FlowGraph, FlowList, JobInfo, LogEntry, ProjectId, ProjectInfo, ScheduleId, ServerStatus,
};
use super::wire::ANSWER_LIMIT;
use super::{Client, session};
use crate::name::ProjectName;

impl Client {
    /// What the server tells about itself; needs no login.
    pub async fn status(&self) -> Result<ServerStatus> {
        let answer = self
            .wire
            .ask("status", self.wire.get("/status", &[]), ANSWER_LIMIT)
            .await?;
        login::status(&answer)
    }

    /// Gets a session, so that a wrong password is found at start.
    pub async fn login_check(&self) -> Result<()> {
        session::take(&self.pool).await.map(drop)
    }

    /// The project's number, `None` if it does not exist.
    pub async fn project_id(&self, project: &ProjectName) -> Result<Option<ProjectId>> {
        let answer = self.read("getProjectId", project, &[]).await?;
        project::id(&answer, project)
    }

    /// All projects of the server; any user may see their names.
    pub async fn projects(&self) -> Result<Vec<ProjectInfo>> {
        let answer = self
            .with_session("fetchallprojects", |wire, session| {
                wire.get("/index", &[("ajax", "fetchallprojects"), ("session.id", session)])
            })
            .await?;
        project::list(&answer)
    }

    /// Makes a project; the description must not be empty.
    pub async fn create_project(&self, project: &ProjectName, description: &str) -> Result<Created> {
        let form = [
            ("action", "create"),
            ("name", project.as_str()),
            ("description", description),
        ];
        let answer = self.change("create project", "/manager", &form).await?;
        project::created(&answer)
    }

    /// Deletes a project with its schedules. Its name is free again afterwards; a new one counts versions from 1.
    pub async fn delete_project(&self, project: &ProjectName) -> Result<()> {
        let answer = self
            .with_session("delete project", |wire, session| {
                let query = [
                    ("project", project.as_str()),
                    ("delete", "true"),
                    ("session.id", session),
                ];
                wire.get("/manager", &query)
            })
            .await?;
        project::deleted(&answer, project)
    }

    /// The flows Azkaban lists for the project; empty before the first upload.
    pub async fn flows(&self, project: &ProjectName) -> Result<FlowList> {
        let answer = self.read("fetchprojectflows", project, &[]).await?;
        flow::list(&answer, project)
    }

    /// A flow's jobs and their dependencies.
    pub async fn flow_graph(&self, project: &ProjectName, flow: &str) -> Result<FlowGraph> {
        let answer = self.read("fetchflowgraph", project, &[("flow", flow)]).await?;
        flow::graph(&answer, project, flow)
    }

    /// A job's properties.
    pub async fn job_info(&self, project: &ProjectName, flow: &str, job: &str) -> Result<JobInfo> {
        let answer = self
            .read("fetchJobInfo", project, &[("flowName", flow), ("jobName", job)])
            .await?;
        flow::job(&answer, project, flow, job)
    }

    /// Up to `size` entries of the project's log, newest first, after the first `skip`.
    pub async fn project_log(
        &self,
        project: &ProjectName,
        size: usize,
        skip: usize,
    ) -> Result<Vec<LogEntry>> {
        let (size, skip) = (size.to_string(), skip.to_string());
        let answer = self
            .read("fetchProjectLogs", project, &[("size", &size), ("skip", &skip)])
            .await?;
        project::log(&answer, project)
    }

    /// Sets the flow's schedule to a Quartz expression; replaces the one it has, keeping its number.
    pub async fn schedule_cron(&self, project: &ProjectName, flow: &str, cron: &str) -> Result<ScheduleId> {
        let form = [
            ("ajax", "scheduleCronFlow"),
            ("projectName", project.as_str()),
            ("flow", flow),
            ("cronExpression", cron),
        ];
        let answer = self.change("scheduleCronFlow", "/schedule", &form).await?;
        schedule::set(&answer, project, flow)
    }

    /// Removes a schedule; one that is gone already is fine.
    pub async fn remove_schedule(&self, id: ScheduleId) -> Result<()> {
        let number = id.0.to_string();
        let form = [("action", "removeSched"), ("scheduleId", number.as_str())];
        let answer = self.change("removeSched", "/schedule", &form).await?;
        schedule::removed(&answer)
    }
}
