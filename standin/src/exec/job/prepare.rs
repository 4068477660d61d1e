//! What a job runs with: the properties only Azkaban knows, and its folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{COMMAND, Job, NOOP};
use crate::exec::props;

impl Job<'_> {
    /// Adds what only Azkaban knows, and resolves; an error is for the log.
    pub(super) async fn prepare(&mut self) -> Result<PathBuf, String> {
        let execution = Arc::clone(&self.shared.execution);
        let facts = &execution.facts;
        let (id, kind) = (self.id.clone(), self.kind().to_owned());
        self.info("azkaban.webserver.url property was not set");
        let (flow, inputs, outputs) = {
            let run = execution.run();
            let node = &run.nodes[self.at];
            let ids = |list: &[usize]| {
                let ids: Vec<&str> = list.iter().map(|&at| run.nodes[at].id.as_str()).collect();
                ids.join(",")
            };
            let flow = node.parent.and_then(|parent| run.nodes[parent].flow.clone());
            (flow.unwrap_or_default(), ids(&node.inputs), ids(&node.outputs))
        };
        let mut arguments = format!(
            "'-Dazkaban.flowid={flow}' '-Dazkaban.execid={}' '-Dazkaban.jobid={id}'",
            facts.id
        );
        if let Some(more) = self.props.get("jvm.args") {
            arguments = format!("{arguments} {more}");
        }
        self.info(format!("job JVM args: {arguments}"));
        let file = self.log_file().display().to_string();
        let mut folder = self.folder();
        if self.nested != id {
            self.put("azkaban.flow.nested.path", self.nested.clone());
        }
        self.put("azkaban.job.outnodes", outputs);
        self.put("azkaban.job.innodes", inputs);
        self.put("jvm.args", arguments);
        self.put("azkaban.job.id", id.clone());
        self.put("azkaban.job.attempt", self.attempt.to_string());
        let base = file.rsplit('/').next().unwrap_or_default().to_owned();
        self.put("azkaban.job.metadata.file", format!("{base}.meta"));
        self.put("azkaban.job.attachment.file", format!("{file}.attach"));
        self.put("azkaban.job.log.file", format!("{file}.log"));
        self.put("azkaban.memory.check", "true".to_owned());
        let wanted = self.props.get("working.dir").cloned();
        if let Some(wanted) = wanted {
            folder = self.working_folder(&wanted, &folder).await?;
        } else {
            self.put("working.dir", folder.display().to_string());
        }
        if !self.props.contains_key("user.to.proxy") {
            self.put("user.to.proxy", facts.user.clone());
            let user = &facts.user;
            self.info(format!(
                "user.to.proxy property was not set, defaulting to submit user {user}"
            ));
        }
        self.info(format!("Building {kind} job executor. "));
        self.info("JobClassLoader URLs: ");
        let problem = match kind.as_str() {
            NOOP | COMMAND => props::resolve(&self.props)
                .map(|resolved| self.props = resolved)
                .err(),
            _ => Some(format!(": the job type {kind} is not known here")),
        };
        if let Some(problem) = problem {
            self.error(format!("Failed to build job executor for job {id}{problem}"));
            return Err(format!(
                "Failed to build job type\nazkaban.jobtype.JobTypeManagerException: Failed to build job executor for job {id}"
            ));
        }
        self.info(format!("{id} creation took 0 milliseconds."));
        Ok(folder)
    }

    /// A folder of the job's own choice must lie in the execution's.
    async fn working_folder(&self, wanted: &str, folder: &Path) -> Result<PathBuf, String> {
        let made = self.shared.files.folder().await.map(Path::to_owned);
        let inside = made.ok().and_then(|made| {
            let wanted = made.join(wanted).canonicalize().ok()?;
            wanted.starts_with(made.canonicalize().ok()?).then_some(wanted)
        });
        inside.ok_or_else(|| {
            format!(
                "Specified working.dir is not valid: {wanted}. Must be a subdirectory of {}",
                folder.display()
            )
        })
    }
}
