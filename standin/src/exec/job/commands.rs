//! Jobs of type `command`: one process after another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{COMMAND, Failed, Job};
use crate::exec::log::Level;
use crate::exec::process::Event;
use crate::exec::props::Props;
use crate::exec::{command, process};
use crate::state::now_ms;
use crate::wire::java::hash_order;

/// What Azkaban says of a process that failed.
const PROCESS_FAILURE: &str = "azkaban.jobExecutor.utils.process.ProcessFailureException";

impl Job<'_> {
    /// Runs all commands, one after another; the first that fails ends the job.
    pub(super) async fn command(&mut self, folder: &Path) -> Result<Props, Failed> {
        let id = self.id.clone();
        let Some(first) = self.props.get(COMMAND).cloned() else {
            let text = "Job set up failed: Missing required property 'command'";
            self.error(text);
            return Err(Failed {
                exception: format!("java.lang.Exception: {text}"),
                message: text.to_owned(),
                cause: "azkaban.utils.UndefinedPropertyException: Missing required property 'command'"
                    .to_owned(),
            });
        };
        let mut commands = vec![first];
        while let Some(next) = self.props.get(&format!("{COMMAND}.{}", commands.len())) {
            commands.push(next.clone());
        }
        self.info(format!("{} commands to execute.", commands.len()));
        let made = self.shared.files.folder().await.map(|_| ());
        made.map_err(|error| exception("java.lang.RuntimeException", &error.to_string()))?;
        self.info(format!("cwd={}", folder.display()));
        let (inputs, outputs) = self
            .property_files(folder)
            .map_err(|error| exception("java.lang.RuntimeException", &error.to_string()))?;
        self.info(format!("effective user is: {}", self.props["user.to.proxy"]));
        let env = self.environment(&inputs, &outputs);
        for command in &commands {
            if let Err(failed) = self.process(command, &env, folder).await {
                let _ = (std::fs::remove_file(&inputs), std::fs::remove_file(&outputs));
                return Err(failed);
            }
        }
        self.info(format!("output properties file={}", outputs.display()));
        let given = given(&outputs);
        if given.is_none() {
            self.error(format!(
                "Exception thrown when trying to load output file props.  Returning empty Props instead of failing. Is \
                 this really the best thing to do? ({id})"
            ));
        }
        Ok(given.unwrap_or_default())
    }

    /// All properties in one file, and an empty one for what the job gives.
    fn property_files(&self, folder: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
        let create = |part: &str| {
            let name = self.id.replace('/', "_");
            let mut builder = tempfile::Builder::new();
            let (file, path) = builder
                .prefix(&format!("{name}_{part}_"))
                .suffix("_tmp")
                .tempfile_in(folder)?
                .keep()?;
            Ok::<_, std::io::Error>((file, path))
        };
        let (mut inputs, inputs_path) = create("job_props")?;
        let pairs = self
            .props
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        std::io::Write::write_all(&mut inputs, &flowlift_azkaban::properties::write(pairs))?;
        let (_, outputs) = create("output")?;
        Ok((inputs_path, outputs))
    }

    fn environment(&self, inputs: &Path, outputs: &Path) -> BTreeMap<String, String> {
        let own = self
            .props
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("env.")?.to_owned(), value.clone())));
        // The system takes neither of these.
        let mut env: BTreeMap<_, _> = own
            .filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'))
            .collect();
        let facts = &self.shared.execution.facts;
        let word = |text: &str| text.replace(' ', "_");
        let ticket = format!(
            "/tmp/krb5cc__{}__{}__{}__{}__{}",
            word(&facts.project_name),
            word(&facts.flow),
            word(&self.id),
            facts.id,
            self.props["user.to.proxy"]
        );
        env.extend([
            ("JOB_PROP_FILE".to_owned(), inputs.display().to_string()),
            ("JOB_OUTPUT_PROP_FILE".to_owned(), outputs.display().to_string()),
            ("JOB_NAME".to_owned(), self.id.replace('\0', "")),
            ("KRB5CCNAME".to_owned(), ticket),
        ]);
        env
    }

    async fn process(
        &self,
        command: &str,
        env: &BTreeMap<String, String>,
        folder: &Path,
    ) -> Result<(), Failed> {
        self.info(format!("Command: {command}"));
        let mut names: Vec<_> = env.iter().collect();
        hash_order(&mut names, |(name, _)| name);
        let names: Vec<String> = names
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.info(format!("Environment variables: {{{}}}", names.join(", ")));
        self.info(format!("Working directory: {}", folder.display()));
        let kill = &self.kill;
        if kill.is_cancelled() {
            self.info("The job is killed. Abort. No job process created.");
            return Ok(());
        }
        let begun = now_ms();
        let Ok(process) = process::start(&command::words(command), env, folder) else {
            return Err(exception(
                "java.lang.IllegalStateException",
                "Process has not yet started.",
            ));
        };
        let id = process.id();
        self.info(format!("Spawned process with id {id}"));
        let tell = |event: Event<'_>| match event {
            Event::Line(text) => self.info(text),
            Event::Asked => self.error("Kill has been called."),
            Event::Insisted => self.log(
                Level::Warn,
                "Kill with signal TERM failed. Killing with KILL signal.",
            ),
        };
        let code = process.run(kill, tell).await;
        let code = code.unwrap_or(-1);
        let how = if code == 0 {
            "successfully"
        } else {
            "unsuccessfully"
        };
        let seconds = (now_ms() - begun) / 1000;
        self.info(format!(
            "Process with id {id} completed {how} in {seconds} seconds."
        ));
        if code == 0 {
            return Ok(());
        }
        let text = format!("{PROCESS_FAILURE}: Process exited with code {code}");
        Err(Failed {
            exception: format!("java.lang.RuntimeException: {text}"),
            message: text.clone(),
            cause: text,
        })
    }
}

fn exception(class: &str, message: &str) -> Failed {
    Failed {
        exception: format!("{class}: {message}"),
        message: message.to_owned(),
        cause: "null".to_owned(),
    }
}

/// What a job gives to those behind it: a JSON object in its file; `None` for anything else.
fn given(file: &Path) -> Option<Props> {
    // More than that is no set of properties.
    if std::fs::metadata(file).ok()?.len() > 4 << 20 {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    if text.trim().is_empty() {
        return Some(Props::new());
    }
    let map: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).ok()?;
    let value = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Some(
        map.into_iter()
            .map(|(name, given)| (name, value(given)))
            .collect(),
    )
}
