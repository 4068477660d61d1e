//! One execution, as everything else sees it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::exec::engine::{Act, Run};
use crate::exec::log::{Level, Log, line};
use crate::exec::options::ExecutionOptions;
use crate::exec::status::Status;
use crate::exec::tree::ROOT;
use crate::state::journal::{Change, Journal};
use crate::state::{lock, now_ms};

/// What an execution is of; none of it changes.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Facts {
    pub(crate) id: i32,
    pub(crate) project: i32,
    /// The project's name, for the jobs.
    pub(crate) project_name: String,
    pub(crate) flow: String,
    pub(crate) version: i32,
    pub(crate) user: String,
    pub(crate) submit_ms: i64,
    /// Started by a schedule.
    pub(crate) scheduled: bool,
    pub(crate) options: ExecutionOptions,
}

/// How the web server sees it; it learns some time after the jobs that they have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No thread runs it yet.
    Queued,
    Running,
    /// It has ended, but counts as running still.
    Afterglow,
    Over,
}

/// One execution.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) facts: Facts,
    pub(crate) zone: TimeZone,
    /// Tells that a status has changed.
    pub(crate) changed: watch::Sender<()>,
    /// Cancelled when the jobs that run are to be killed; later ones have another.
    kill: Mutex<CancellationToken>,
    phase: Mutex<Phase>,
    run: Mutex<Run>,
    /// By nested id and attempt; the flow's own under an empty id.
    logs: Mutex<BTreeMap<(String, u32), Log>>,
    acts: mpsc::UnboundedSender<Act>,
    journal: Journal,
}

impl Execution {
    pub(crate) fn new(
        facts: Facts,
        run: Run,
        zone: TimeZone,
        journal: Journal,
    ) -> (Self, mpsc::UnboundedReceiver<Act>) {
        let (acts, receiver) = mpsc::unbounded_channel();
        let execution = Self {
            facts,
            zone,
            changed: watch::Sender::new(()),
            kill: Mutex::default(),
            phase: Mutex::new(Phase::Queued),
            run: Mutex::new(run),
            logs: Mutex::default(),
            acts,
            journal,
        };
        (execution, receiver)
    }

    /// One that was kept in a file, over long ago.
    pub(crate) fn kept(
        facts: Facts,
        run: Run,
        logs: BTreeMap<(String, u32), Log>,
        zone: TimeZone,
        journal: Journal,
    ) -> Self {
        let (mut execution, _) = Self::new(facts, run, zone, journal);
        execution.phase = Mutex::new(Phase::Over);
        execution.logs = Mutex::new(logs);
        execution
    }

    pub(crate) fn run(&self) -> MutexGuard<'_, Run> {
        lock(&self.run)
    }

    /// Changes it and sees to what follows from that.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Run, i64) -> R) -> R {
        let mut run = lock(&self.run);
        let result = change(&mut run, now_ms());
        for act in run.acts() {
            match act {
                Act::Log(text) => self.flow_log(&text),
                Act::Error(text) => self.flow_line(Level::Error, &text),
                Act::KillJobs => std::mem::take(&mut *lock(&self.kill)).cancel(),
                Act::Ended(at) => self.save_node(&run, at),
                // Nobody is there to carry it out when the server goes down.
                act => drop(self.acts.send(act)),
            }
        }
        self.changed.send_replace(());
        result
    }

    pub(crate) fn status(&self) -> Status {
        self.run().flow().status
    }

    pub(crate) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    /// The web server counts it as running.
    pub(crate) fn is_active(&self) -> bool {
        self.phase() != Phase::Over
    }

    /// Its zip is still needed.
    pub(crate) fn is_unfinished(&self) -> bool {
        !matches!(self.status(), Status::Succeeded | Status::Failed | Status::Killed)
    }

    /// Is cancelled when a job is to be killed.
    pub(crate) fn kill(&self, run: &Run, at: usize) -> CancellationToken {
        let mut kill = lock(&self.kill).clone();
        if run.nodes[at].killed || (at == ROOT && run.is_killed()) {
            kill = CancellationToken::new();
            kill.cancel();
        }
        kill
    }

    pub(crate) fn flow_log(&self, text: &str) {
        self.flow_line(Level::Info, text);
    }

    fn flow_line(&self, level: Level, text: &str) {
        let line = line(&self.zone, &self.facts.flow, level, text);
        self.push("", 0, &line);
    }

    /// Adds a line to a job's log.
    pub(crate) fn push(&self, nested: &str, attempt: u32, line: &str) {
        let mut logs = lock(&self.logs);
        match logs.get_mut(&(nested.to_owned(), attempt)) {
            Some(log) => log.push(line),
            None => {
                let mut log = Log::default();
                log.push(line);
                logs.insert((nested.to_owned(), attempt), log);
            }
        }
    }

    /// A piece of a log, and where it begins.
    pub(crate) fn log(&self, nested: &str, attempt: u32, offset: i64, length: i64) -> Option<(i64, String)> {
        let logs = lock(&self.logs);
        let log = logs.get(&(nested.to_owned(), attempt))?;
        log.piece(offset, length).map(|(at, text)| (at, text.to_owned()))
    }

    /// Keeps all of it, as it is now.
    pub(crate) fn save(&self) {
        self.journal.write(|| {
            let run = self.run();
            let row = serde_json::json!({ "facts": self.facts, "nodes": run.nodes });
            Change::Execution(self.facts.id, row.to_string().into_bytes())
        });
    }

    /// Keeps one node.
    pub(crate) fn save_node(&self, run: &Run, at: usize) {
        self.journal.write(|| {
            let node = serde_json::to_vec(&run.nodes[at]).unwrap_or_default();
            Change::ExecutionNode(self.facts.id, u32::try_from(at).unwrap_or(u32::MAX), node)
        });
    }

    /// Keeps a log that is complete.
    pub(crate) fn save_log(&self, nested: &str, attempt: u32) {
        self.journal.write(|| {
            let logs = lock(&self.logs);
            let log = logs.get(&(nested.to_owned(), attempt));
            let text = log.map_or_else(String::new, |log| log.text().to_owned());
            Change::ExecutionLog(self.facts.id, attempt, nested.to_owned(), text)
        });
    }
}
