//! One project on the model server: versions, the active one, the log, schedules. Pure; the numbers and their traps are
//! those of a real 4.0.0.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use flowlift_azkaban::client::{LogEntry, ProjectId};
use flowlift_azkaban::name::fold;

use super::content::Content;
use crate::clock::{Ms, Promise};

/// Azkaban keeps the zips of the current version and three before it.
const KEPT: u32 = 3;

/// A version row and its zip.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// The zip's file name.
    pub(crate) file: String,
    /// The zip; gone when retention took it.
    pub(crate) content: Option<Rc<Content>>,
}

/// A project.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) id: ProjectId,
    /// Whether it was deleted.
    pub(crate) deleted: bool,
    /// Rows of versions, burnt ones included.
    pub(crate) versions: BTreeMap<u32, Version>,
    /// The version whose flows are active; 0: never uploaded.
    pub(crate) active: u32,
    /// The last one that a consumer made from what was active.
    ours: Option<u32>,
    /// The active content.
    pub(crate) content: Option<Rc<Content>>,
    /// The log, oldest first.
    pub(crate) log: Vec<LogEntry>,
    /// Schedules by lower-case flow: number, flow, expression.
    pub(crate) schedules: BTreeMap<String, (i64, String, String)>,
    /// Whether somebody persists, and who waits.
    pub(crate) locked: bool,
    pub(crate) waiting: VecDeque<Promise<()>>,
}

impl Project {
    /// A project that was just made.
    pub(crate) fn new(id: i64) -> Self {
        Self {
            id: ProjectId(id),
            deleted: false,
            versions: BTreeMap::new(),
            active: 0,
            ours: None,
            content: None,
            log: Vec::new(),
            schedules: BTreeMap::new(),
            locked: false,
            waiting: VecDeque::new(),
        }
    }

    /// The flows it lists.
    pub(crate) fn listed(&self) -> BTreeSet<String> {
        self.content
            .as_ref()
            .map(|content| content.listed())
            .unwrap_or_default()
    }

    /// The highest version, burnt ones included.
    pub(crate) fn highest(&self) -> u32 {
        self.versions.keys().next_back().copied().unwrap_or_default()
    }

    /// The first step of a persist: the version row and the zip.
    pub(crate) fn add_version(&mut self, file: &str, content: &Rc<Content>) -> u32 {
        let version = self.highest() + 1;
        let row = Version {
            file: file.to_owned(),
            content: Some(Rc::clone(content)),
        };
        self.versions.insert(version, row);
        version
    }

    /// The flows are replaced: this version is active.
    pub(crate) fn activate(&mut self, version: u32) {
        self.active = version;
        self.content = self.versions.get(&version).and_then(|row| row.content.clone());
    }

    /// One of the flows, without a schedule, does not become active; the zip that is kept has it.
    pub(crate) fn leave_out(&mut self) {
        let Some(content) = &self.content else { return };
        let unscheduled = |flow: &String| !self.schedules.contains_key(&fold(flow));
        let Some(flow) = content.listed().into_iter().find(unscheduled) else {
            return;
        };
        let mut tree = content.tree.clone();
        let own =
            |path: &String| path.starts_with(&format!("{flow}.")) || path.starts_with(&format!("{flow}~"));
        tree.retain(|path, _| !own(path));
        self.content = Some(Content::of(tree));
    }

    /// Notes whose version becomes active next. Returns whether nothing that is kept tells any more what counted: the last one
    /// that a consumer made from what was active is too old.
    pub(crate) fn may_forget(&mut self, version: u32, content: &Content, by_us: bool) -> bool {
        if by_us && content.built_on().unwrap_or_default() == self.active {
            self.ours = Some(version);
        }
        self.ours.is_some_and(|ours| ours + KEPT < version)
    }

    /// The last step: the line in the log.
    pub(crate) fn log_upload(&mut self, now: Ms, who: &str, file: &str) {
        self.note(now, who, "UPLOADED", format!("Uploaded project files zip {file}"));
    }

    /// A line in the log.
    pub(crate) fn note(&mut self, now: Ms, who: &str, kind: &str, message: String) {
        self.log.push(LogEntry {
            user: who.to_owned(),
            time_ms: i64::try_from(now).unwrap_or(i64::MAX),
            kind: kind.to_owned(),
            message: Some(message),
        });
    }

    /// A line about a schedule, in Azkaban's words.
    pub(crate) fn note_schedule(
        &mut self,
        now: Ms,
        project: &str,
        flow: &str,
        number: i64,
        cron: &str,
        what: &str,
    ) {
        let words = format!(
            "Schedule {project}.{flow} ({number}) to be run at (starting) 2026-11-24T03:05:00.000Z with CronExpression {{{cron}}} and \
             timezone UTC has been {what}."
        );
        self.note(now, "azkaban", "SCHEDULE", words);
    }

    /// Retention: older zips go, their rows stay.
    pub(crate) fn clean_old(&mut self) {
        let lowest = self.active.saturating_sub(KEPT);
        for (_, row) in self.versions.range_mut(..lowest) {
            row.content = None;
        }
    }

    /// Schedules of flows that are not there any more go; returns their flows.
    pub(crate) fn clean_schedules(&mut self, now: Ms, key: &str) -> Vec<String> {
        let listed: BTreeSet<String> = self.listed().iter().map(|flow| fold(flow)).collect();
        let gone = self.schedules.keys().filter(|flow| !listed.contains(*flow));
        let gone: Vec<String> = gone.cloned().collect();
        for flow in &gone {
            if let Some((number, name, cron)) = self.schedules.remove(flow) {
                self.note_schedule(now, key, &name, number, &cron, "removed");
            }
        }
        gone
    }
}
