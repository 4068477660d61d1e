//! One job: what Azkaban's `JobRunner` and `ProcessJob` do, line by line of its log.

mod commands;
mod pipeline;
mod prepare;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::exec::execution::Execution;
use crate::exec::files::ExecutionFiles;
use crate::exec::inputs::Inputs;
use crate::exec::log::{Level, line};
use crate::exec::props::Props;
use crate::exec::status::Status;

/// Job types that run here.
const NOOP: &str = "noop";
const COMMAND: &str = "command";

/// What the jobs of one execution share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) execution: Arc<Execution>,
    /// The execution whose jobs are waited for.
    pub(super) other: Option<Arc<Execution>>,
    pub(super) inputs: Inputs,
    pub(super) files: ExecutionFiles,
    pub(super) threads: Semaphore,
    /// Cancelled when the server goes down.
    pub(super) ends: CancellationToken,
}

/// Why a job failed.
struct Failed {
    /// The exception's class and message, for the log.
    exception: String,
    message: String,
    cause: String,
}

/// Runs one job to its end.
pub(super) async fn run(shared: Arc<Shared>, at: usize, props: Props) {
    let ends = shared.ends.clone();
    // Dropping it in the middle kills its process.
    tokio::select! {
        biased;
        () = ends.cancelled() => {}
        () = Job::new(&shared, at, props).run() => {}
    }
}

struct Job<'a> {
    shared: &'a Shared,
    at: usize,
    id: String,
    nested: String,
    attempt: u32,
    kill: CancellationToken,
    props: Props,
}

impl<'a> Job<'a> {
    fn new(shared: &'a Shared, at: usize, props: Props) -> Self {
        let run = shared.execution.run();
        let node = &run.nodes[at];
        Self {
            shared,
            at,
            id: node.id.clone(),
            nested: node.nested.clone(),
            attempt: node.attempt,
            kill: shared.execution.kill(&run, at),
            props,
        }
    }

    fn log(&self, level: Level, text: &str) {
        let line = line(&self.shared.execution.zone, &self.id, level, text);
        self.shared.execution.push(&self.nested, self.attempt, &line);
    }

    fn info(&self, text: impl AsRef<str>) {
        self.log(Level::Info, text.as_ref());
    }

    fn error(&self, text: impl AsRef<str>) {
        self.log(Level::Error, text.as_ref());
    }

    async fn run(mut self) {
        let execution = &self.shared.execution;
        let delay = execution.change(|run, _| {
            let node = &mut run.nodes[self.at];
            node.retries = self.props.get("retries").cloned();
            node.backoff = self.props.get("retry.backoff").cloned();
            node.delay_ms
        });
        let Ok(_thread) = self.shared.threads.acquire().await else {
            return;
        };
        if self.kill.is_cancelled() {
            execution.change(|run, now| {
                run.job_begins(self.at, now);
                run.job_runs(self.at, now);
                run.job_came_to(self.at, Status::Killed, now);
                run.job_ended(self.at, Arc::default(), now);
            });
            return execution.save_node(&execution.run(), self.at);
        }
        self.tell_log_file();
        let waited = self.waits(delay).await;
        execution.change(|run, now| run.job_begins(self.at, now));
        let (status, given) = match waited {
            true => self.begins().await,
            false => (Status::Killed, Props::new()),
        };
        let (status, end) = execution.change(|run, now| {
            let status = match status {
                Status::Running => Status::Succeeded,
                other => other,
            };
            (run.job_came_to(self.at, status, now), now)
        });
        self.info(format!(
            "Finishing job {}{} at {end} with status {}",
            self.id,
            self.retry(),
            status.name()
        ));
        execution.flow_log(&format!("No attachment file for job {} written.", self.id));
        execution.save_log(&self.nested, self.attempt);
        execution.save_node(&execution.run(), self.at);
        execution.change(|run, now| run.job_ended(self.at, Arc::new(given), now));
    }

    fn retry(&self) -> String {
        match self.attempt {
            0 => String::new(),
            attempt => format!(" retry: {attempt}"),
        }
    }

    fn log_file(&self) -> PathBuf {
        let (id, name) = (self.shared.execution.facts.id, self.nested.replace(':', "._."));
        let file = match self.attempt {
            0 => format!("_job.{id}.{name}"),
            attempt => format!("_job.{id}.{attempt}.{name}"),
        };
        self.folder().join(file)
    }

    fn tell_log_file(&self) {
        let (id, file) = (&self.id, self.log_file());
        let execution = &self.shared.execution;
        execution.flow_log(&format!("Log file path for job: {id} is: {}.log", file.display()));
        execution.flow_log(&format!("Created file appender for job {id}"));
        execution.flow_log(&format!("Attached file appender for job {id}"));
    }

    /// From "Starting job" to what it came to.
    async fn begins(&mut self) -> (Status, Props) {
        let execution = &self.shared.execution;
        let start = execution.run().nodes[self.at].start_ms;
        self.info(format!("Starting job {}{} at {start}", self.id, self.retry()));
        execution.change(|run, now| run.job_runs(self.at, now));
        execution.save_node(&execution.run(), self.at);
        let folder = match self.prepare().await {
            Ok(folder) => folder,
            Err(text) => {
                self.error(text);
                self.error("Job run failed preparing the job.");
                return (Status::Failed, Props::new());
            }
        };
        if self.kind() == NOOP {
            return (Status::Succeeded, Props::new());
        }
        match self.command(&folder).await {
            Ok(given) => (Status::Succeeded, given),
            Err(failed) => (self.failed(&failed), Props::new()),
        }
    }

    fn failed(&self, failed: &Failed) -> Status {
        let Failed {
            exception,
            message,
            cause,
        } = failed;
        let succeeds = self
            .props
            .get("job.succeed.on.failure")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        if succeeds {
            self.error("Job run failed, but will treat it like success.");
            self.error(format!("{message} cause: {cause}\n{exception}"));
            return Status::FailedSucceeded;
        }
        if self.kill.is_cancelled() {
            self.error(format!("Job run killed!\n{exception}"));
        } else {
            self.error(format!("Job run failed!\n{exception}"));
        }
        self.error(format!("{message} cause: {cause}"));
        Status::Failed
    }

    /// Where a job runs: where its file lies in the project. Flow 2.0 forgets folders.
    fn folder(&self) -> PathBuf {
        let top = self.shared.files.path();
        let run = self.shared.execution.run();
        let source = Path::new(&run.nodes[self.at].source);
        let below = source
            .parent()
            .filter(|below| source.extension().is_some_and(|kind| kind == "job") && *below != Path::new(""));
        below.map_or_else(|| top.clone(), |below| top.join(below))
    }

    /// What its properties say now, which need not be what was uploaded.
    fn kind(&self) -> &str {
        self.props.get("type").map_or("", String::as_str)
    }

    fn put(&mut self, name: &str, value: String) {
        self.props.insert(name.to_owned(), value);
    }
}
