//! What has to be asked of Azkaban to know what a project holds. Pure: it says what it needs, and is told.
//!
//! Mostly the newest version is enough: it is the one we uploaded last, or one of ours that was built on its predecessor. Else
//! the project log and the kept versions tell (at most four that landed; Azkaban keeps no more).

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::client::{LogEntry, uploaded_file};
use flowlift_azkaban::{Load, Loaded, load};

use super::landed::{Kept, Landed, Line, landed};
use super::schedules::{dropped, may_have_dropped};
use super::truth::{Told, flows_of, list_of, truth};
use super::{BaseError, Version};

/// So many versions that landed say all that can be known.
const ENOUGH: usize = 4;
/// Lines of the log that are read at once; a busy project writes one per schedule, too.
pub const PAGE: usize = 1_000;
/// Pages that are read at most.
const PAGES: usize = 100;

/// What is needed next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// [`PAGE`] lines of the project log, after so many.
    Log {
        /// Lines to skip.
        skip: usize,
    },
    /// The version with this number.
    Version(u32),
    /// The flows that Azkaban lists at the moment.
    Flows,
    /// The properties of a job that Azkaban has at the moment.
    Job {
        /// The flow.
        flow: String,
        /// The job.
        job: String,
    },
    /// Nothing more.
    Nothing,
}

/// Reading a project's base.
#[derive(Debug)]
pub struct Reading {
    /// The user we upload as.
    user: String,
    /// Newest first; never empty.
    kept: Vec<Version>,
    /// The number to ask for next; 0: there is none.
    next: u32,
    log: Vec<LogEntry>,
    log_done: bool,
    /// The newest one alone counts.
    alone: bool,
    looked_for_shortcut: bool,
    /// The flows that are listed, where that can tell which of several versions is active.
    listed: Option<BTreeSet<String>>,
    /// Of several that may be active, the one that is.
    active: Option<u32>,
}

impl Reading {
    /// Begins with the newest version. `known`: it is the one that was uploaded and read back last, by this very consumer.
    /// `user`: whom Azkaban knows us as.
    #[must_use]
    pub fn begin(newest: Version, known: bool, user: &str) -> Self {
        Self {
            user: user.to_owned(),
            next: newest.number.saturating_sub(1),
            alone: known && newest.ours().is_some(),
            kept: vec![newest],
            log: Vec::new(),
            log_done: false,
            looked_for_shortcut: false,
            listed: None,
            active: None,
        }
    }

    /// What is needed next.
    pub fn need(&mut self) -> Need {
        if self.alone {
            return Need::Nothing;
        }
        if !self.log_done {
            return Need::Log { skip: self.log.len() };
        }
        if !std::mem::replace(&mut self.looked_for_shortcut, true) && self.is_built_on_its_predecessor() {
            self.alone = true;
            return Need::Nothing;
        }
        let found = self.landed();
        if found.numbers.len() < ENOUGH && self.next > 0 {
            return Need::Version(self.next);
        }
        if self.listed.is_none() && self.lists_differ(&found) {
            return Need::Flows;
        }
        if let Some((flow, job)) = self.telling_job(&found) {
            return Need::Job { flow, job };
        }
        Need::Nothing
    }

    /// A page of the log, newest first.
    pub fn log(&mut self, page: Vec<LogEntry>) {
        let last = page.len() < PAGE || self.log.len() >= (PAGES - 1) * PAGE;
        self.log.extend(page);
        // one line more than versions that count: what the oldest was built on
        let uploads = self
            .log
            .iter()
            .filter(|entry| uploaded_file(entry).is_some())
            .count();
        self.log_done = last || uploads > ENOUGH;
    }

    /// The version that was asked for; `None`: Azkaban has none with this number, or its zip is none.
    pub fn version(&mut self, version: Option<Version>) {
        self.kept.extend(version);
        self.next = self.next.saturating_sub(1);
    }

    /// Azkaban keeps nothing older.
    pub fn no_older(&mut self) {
        self.next = 0;
    }

    /// The flows that are listed.
    pub fn flows(&mut self, listed: BTreeSet<String>) {
        self.listed = Some(listed);
        if let [only] = self.candidates(&self.landed())[..] {
            self.active = Some(only.number);
        }
    }

    /// The job's properties as they are active; `None`: there is no such job.
    pub fn job(&mut self, flow: &str, job: &str, params: Option<&BTreeMap<String, String>>) {
        let has = |version: &&Version| {
            let loaded = loaded(version);
            let node = loaded.as_ref().and_then(|loaded| loaded.flow(flow)?.node(job));
            node.map(|node| &*node.own_props) == params
        };
        let candidates = self.candidates(&self.landed());
        let active = candidates.iter().copied().find(has);
        self.active = active
            .or(candidates.first().copied())
            .or(self.kept.first())
            .map(|version| version.number);
    }

    /// What counts.
    ///
    /// # Errors
    /// [`BaseError`]; [`BaseError::Moved`] when somebody uploaded while it was read.
    pub fn finish(mut self) -> Result<Told, BaseError> {
        if self.alone {
            self.kept.truncate(1);
            return truth(self.kept, &[]);
        }
        let found = self.landed();
        let newest = found
            .numbers
            .last()
            .and_then(|number| self.kept.iter().find(|kept| kept.number == *number));
        let told = self.log.iter().find_map(uploaded_file);
        if told != newest.map(|version| version.file_name.as_str()) {
            return Err(BaseError::Moved);
        }
        let (mut landed, stillborn): (Vec<Version>, Vec<Version>) = self
            .kept
            .into_iter()
            .partition(|version| found.numbers.contains(&version.number));
        landed.reverse();
        let versions: Vec<Version> = landed.iter().map(Version::without_zip).collect();
        let mut told = truth(landed, &stillborn)?;
        told.base.dropped = dropped(&self.log, &versions, &told.base.there());
        Ok(told)
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let line = |entry| Some((entry, uploaded_file(entry)?));
        let lines = self.log.iter().filter_map(line);
        lines
            .map(|(entry, file)| Line {
                file,
                by_us: entry.user == self.user,
            })
            .collect()
    }

    fn landed(&self) -> Landed {
        let kept: Vec<Kept<'_>> = self
            .kept
            .iter()
            .map(|version| Kept {
                number: version.number,
                file_name: &version.file_name,
                ours: version.ours().is_some(),
                base: version
                    .ours()
                    .and_then(|manifest| manifest.base.as_ref())
                    .map(|base| base.version),
            })
            .collect();
        landed(&kept, &self.lines(), self.active)
    }

    /// Ours, landed, right after the one it was built on; and no schedule went with a flow that is there.
    fn is_built_on_its_predecessor(&self) -> bool {
        let newest = &self.kept[0];
        let Some(manifest) = newest.ours() else {
            return false;
        };
        let lines = self.lines();
        let base = manifest.base.as_ref();
        // by number, too: people upload again under the name that they downloaded
        let file = |at: usize| lines.get(at).map(|line| line.file);
        file(0) == Some(newest.file_name.as_str())
            && file(1) == base.map(|base| base.file.as_str())
            && newest.number == base.map_or(0, |base| base.version) + 1
            && !may_have_dropped(&self.log, &flows_of(newest).collect())
    }

    /// The newest one that landed, and those of the same name that may be active instead; where the flows that are listed can
    /// tell, only those that make them.
    fn candidates(&self, found: &Landed) -> Vec<&Version> {
        let number = |version: &&Version| {
            found.numbers.last() == Some(&version.number) || found.or_one_of.contains(&version.number)
        };
        let all: Vec<&Version> = self.kept.iter().filter(number).collect();
        let Some(listed) = &self.listed else { return all };
        let as_listed = |version: &&Version| list_of(version) == *listed;
        let fitting: Vec<&Version> = all.iter().copied().filter(as_listed).collect();
        if fitting.is_empty() { all } else { fitting }
    }

    fn lists_differ(&self, found: &Landed) -> bool {
        if found.or_one_of.is_empty() {
            return false;
        }
        let lists: BTreeSet<_> = self.candidates(found).into_iter().map(list_of).collect();
        lists.len() > 1
    }

    /// A job that is not the same in all candidates, or not in all of them.
    fn telling_job(&self, found: &Landed) -> Option<(String, String)> {
        if found.or_one_of.is_empty() {
            return None;
        }
        let loaded: Vec<Loaded> = self.candidates(found).into_iter().filter_map(loaded).collect();
        for one in &loaded {
            for (name, flow) in &one.flows {
                for node in &flow.nodes {
                    let same = |other: &Loaded| {
                        let there = other.flow(name).and_then(|flow| flow.node(&node.id));
                        there.is_some_and(|there| there.own_props == node.own_props)
                    };
                    if !loaded.iter().all(same) {
                        return Some((name.clone(), node.id.clone()));
                    }
                }
            }
        }
        None
    }
}

fn loaded(version: &Version) -> Option<Loaded> {
    match load(&version.tree) {
        Load::Flows(loaded) => Some(loaded),
        _ => None,
    }
}
