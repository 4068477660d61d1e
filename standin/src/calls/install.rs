//! Installing an uploaded zip: parsing (in parallel), storing (one at a time per project), cleaning up.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use flowlift_azkaban::Format;
use flowlift_azkaban::archive::{ZipLimits, read_zip};
use flowlift_azkaban::load::{Load, load};

use crate::server::Server;
use crate::state::faults::UploadFaults;
use crate::state::persist::{self, Rows, rows};
use crate::state::project::{Project, Version};
use crate::state::sessions::Session;
use crate::wire::failure::Failure;
use crate::wire::java::{cut, utf16_len};

/// Characters of a validator's report that are told.
const REPORT_MAX: usize = 4000;
/// Characters of an exception that are told.
const EXCEPTION_MAX: usize = 512;

/// Parses, stores and cleans up; an error is what the client is told.
pub(super) async fn install(
    server: &Server,
    session: &Session,
    project: &Arc<Project>,
    file: &str,
    zip: Bytes,
    faults: &UploadFaults,
) -> Result<Result<(), String>, Failure> {
    let locks = project.read().locks.clone();
    let outcome = match parse(server, file, zip.clone()).await? {
        Ok(rows) => match faults.against(rows.flows.iter().map(|flow| &*flow.id)) {
            words if words.is_empty() => store(server, session, project, Upload { file, zip, rows }, faults)
                .await
                .map_err(Refusal::Exception),
            words => Err(Refusal::Report(words)),
        },
        Err(refusal) => Err(refusal),
    };
    // After an exception nothing is cleaned up: locks and schedules stay as they are.
    Ok(match outcome {
        Ok(()) => {
            server.counters.upload_installed();
            clean_up(server, project, &locks);
            Ok(())
        }
        Err(Refusal::Report(problems)) => {
            clean_up(server, project, &locks);
            Err(report(&problems))
        }
        Err(Refusal::Exception(message)) => Err(exception(&message)),
    })
}

/// Why a zip is not installed.
enum Refusal {
    /// The validator's report.
    Report(Vec<String>),
    /// An exception's message.
    Exception(String),
}

/// Unpacks and loads, apart from all other requests.
async fn parse(server: &Server, file: &str, zip: Bytes) -> Result<Result<Rows, Refusal>, Failure> {
    if file.contains('/') {
        let message = format!(
            "/tmp/{}/{file} (No such file or directory)",
            crate::state::now_ms()
        );
        return Ok(Err(Refusal::Exception(message)));
    }
    let limits = server.options.zip;
    let parsed = tokio::task::spawn_blocking(move || parse_zip(&zip, &limits)).await;
    parsed.unwrap_or_else(|panic| {
        tracing::error!(%panic, "the loader panicked");
        Err(Failure::exception(
            "java.lang.IllegalStateException",
            "the loader panicked",
        ))
    })
}

fn parse_zip(zip: &[u8], limits: &ZipLimits) -> Result<Result<Rows, Refusal>, Failure> {
    let tree = match read_zip(zip, limits) {
        Ok(tree) => tree,
        Err(error) => {
            tracing::debug!(%error, "a zip was refused");
            return Ok(Err(Refusal::Exception("Error unzipping file.".to_owned())));
        }
    };
    match load(&tree) {
        Load::Flows(loaded) => {
            let rows = rows(&tree, &loaded);
            let_go((tree, loaded));
            Ok(Ok(rows))
        }
        Load::Refused(problems) => {
            let words = problems.into_iter().map(|problem| problem.message);
            Ok(Err(Refusal::Report(words.collect())))
        }
        Load::Exception(problem) => Ok(Err(Refusal::Exception(problem.message))),
        Load::StackOverflow => Err(Failure::stack_overflow()),
    }
}

/// Gives memory back on another thread: for ten thousand flows that takes as long as reading them.
fn let_go<T: Send + 'static>(value: T) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || drop(value))),
        Err(_) => drop(value),
    }
}

/// What is to be stored.
struct Upload<'a> {
    file: &'a str,
    zip: Bytes,
    rows: Rows,
}

/// Stores under the project's lock, in 4.0.0's order. What is done before an error stays done.
async fn store(
    server: &Server,
    session: &Session,
    project: &Project,
    upload: Upload<'_>,
    faults: &UploadFaults,
) -> Result<(), String> {
    let Upload { file, zip, rows } = upload;
    let _storing = project.storing.lock().await;
    server.faults.database().await;
    let version = project.read().highest() + 1;
    if !persist::zip_name_fits(file) {
        return Err(format!(
            "Error initializing project id: {} version: {version} ",
            project.id
        ));
    }
    // A copy of its own: the part is a slice of the whole body.
    let zip = Some(Bytes::copy_from_slice(&zip));
    project.write().add_version(
        project.id,
        version,
        Version {
            file: file.to_owned(),
            zip,
        },
    );

    let cost = Cost::new(&rows, faults);
    let mut broken_flow = rows.broken_flow;
    if let Some(after) = faults.fail_after {
        let at = broken_flow.as_ref().map_or(usize::MAX, |(at, _)| *at).min(after);
        let id = rows
            .flows
            .iter()
            .nth(at)
            .map_or_else(String::new, |flow| flow.id.to_string());
        broken_flow = Some((at, format!("Error inserting flow {id}")));
    }
    if let Some((at, message)) = broken_flow {
        cost.flows(at).await;
        return Err(message);
    }
    cost.flows(rows.listed).await;
    server.faults.database().await;
    {
        let mut state = project.write();
        state.version = version;
        let_go(std::mem::replace(&mut state.flows, Arc::new(rows.flows)));
        session.user.name.clone_into(&mut state.modified_by);
        // New flow objects are not locked; the locks come back at the end, if it is reached.
        state.locks.clear();
        state.missing.clear();
        if let Some(broken) = &rows.broken_source {
            state.missing.clone_from(&broken.missing);
        }
    }
    if let Some(broken) = rows.broken_source {
        return Err(broken.words.say(&project.name, version));
    }
    cost.sources().await;
    server.faults.database().await;
    project.log(
        &session.user.name,
        "UPLOADED",
        Some(format!("Uploaded project files zip {file}")),
    );
    drop(_storing);
    let first = project.read().version - server.options.retention;
    let in_use = server.executions.versions_in_use(project.id);
    let mut state = project.write();
    state.clean_before(project.id, first, &in_use);
    state
        .overrides
        .retain(|version, _| *version >= first || in_use.contains(version));
    Ok(())
}

/// The artificial latency: half of it for the rows before the switch of versions, half for those after it.
struct Cost {
    ms_per_flow: f64,
    listed: usize,
}

impl Cost {
    fn new(rows: &Rows, faults: &UploadFaults) -> Self {
        let ms_per_flow = if rows.format == Format::V2 {
            faults.ms_per_flow_v2
        } else {
            faults.ms_per_flow
        };
        Self {
            ms_per_flow,
            listed: rows.listed,
        }
    }

    async fn flows(&self, count: usize) {
        pause_ms(self.ms_per_flow / 2.0, count).await;
    }

    async fn sources(&self) {
        pause_ms(self.ms_per_flow / 2.0, self.listed).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "no zip holds 2^52 flows")]
async fn pause_ms(ms_per_flow: f64, count: usize) {
    crate::server::pause(ms_per_flow * count as f64).await;
}

/// After an accepted or reported upload: locks of flows that are still there come back, schedules of others go.
fn clean_up(server: &Server, project: &Project, locks: &HashMap<String, Option<String>>) {
    let flows = {
        let mut state = project.write();
        let flows = Arc::clone(&state.flows);
        let kept = locks.iter().filter(|(flow, _)| flows.get(flow).is_some());
        state
            .locks
            .extend(kept.map(|(flow, why)| (flow.clone(), why.clone())));
        flows
    };
    for schedule in server
        .world
        .schedules
        .prune(project.id, |flow| flows.get(flow).is_some())
    {
        project.log(
            "azkaban",
            "SCHEDULE",
            Some(format!("Schedule {} has been removed.", schedule.text)),
        );
    }
}

fn report(problems: &[String]) -> String {
    let mut text = "Validator Directory Flow reports errors:<br><br>".to_owned();
    for problem in problems {
        text.push_str(problem);
        text.push_str("<br>");
    }
    cut(&text, REPORT_MAX).to_owned()
}

fn exception(message: &str) -> String {
    if utf16_len(message) > EXCEPTION_MAX {
        let start = cut(message, EXCEPTION_MAX);
        return format!("Installation Failed.<br>{start}<br>Too many errors to display.<br>");
    }
    format!("Installation Failed.<br>{message}")
}

#[cfg(test)]
mod tests {
    use flowlift_azkaban::Tree;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damaged_zips_and_files_are_refused_without_a_panic(
            content in "[a-z=:\\[\\]{}\\-# \\\\u\n\t]{0,80}",
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let files = ["a.job", "b/c.properties", "p.project", "f.flow"];
            let version = "azkaban-flow-version: 2.0\n";
            let content = Bytes::from(content);
            let tree: Tree = files
                .iter()
                .map(|&path| (path.to_owned(), if path == "p.project" { Bytes::from(version) } else { content.clone() }))
                .collect();
            let mut v1 = tree.clone();
            v1.remove("p.project");
            for tree in [tree, v1] {
                let mut zip = flowlift_azkaban::archive::write_zip(&tree);
                for (at, byte) in &damage {
                    let at = at.index(zip.len());
                    zip[at] = *byte;
                }
                let _ = parse_zip(&zip, &ZipLimits::default());
            }
        }
    }

    #[test]
    fn long_texts_are_cut_as_azkaban_cuts_them() {
        assert_eq!(report(&vec!["x".repeat(30); 200]).len(), 4000);
        assert_eq!(exception("short"), "Installation Failed.<br>short");
        let long = exception(&"y".repeat(513));
        assert_eq!(
            long,
            format!(
                "Installation Failed.<br>{}<br>Too many errors to display.<br>",
                "y".repeat(512)
            )
        );
    }
}
