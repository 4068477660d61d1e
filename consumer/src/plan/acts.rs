//! Each kind of change, applied to a draft. An `Err` is the clause that goes to the dead letters.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_azkaban::{Flow, FlowName, Format, Load, PROJECT_FILE, Tree, check_flow, lift, outline, render};
use flowlift_common::ledger::ADOPTED;
use flowlift_common::manifest::{FileEntry, FlowEntry, PatternEntry};
use flowlift_common::seen::SeenFlow;
use flowlift_common::{Act, Body, Change, Order, Pattern, Schedule, Unit, Upsert};

use super::claimants::Claimants;
use super::draft::{Done, Draft, file_key, flow_key, is_read_as};
use super::late::{matches, too_old};
use super::{Asked, ChangeId, Decision, Wish};

/// A flow and its files.
type Made = (FlowName, BTreeMap<String, Bytes>);

impl Draft<'_> {
    /// Applies one change; changes come in ascending order.
    pub(super) fn take(&mut self, one: &Asked<'_>, change: &Change) {
        let taken = match &change.act {
            Act::Upsert(upsert) => self.upsert(one, upsert),
            Act::Delete { flow } => self.delete(one, flow),
            Act::DeleteMatching(pattern) => {
                self.delete_matching(one, pattern);
                Ok(None)
            }
            Act::PutFile { path, content } => self.put_file(one, path, Some(&content.0)),
            Act::DeleteFile { path } => self.put_file(one, path, None),
            Act::Check => {
                self.begin(one);
                Ok(None)
            }
        };
        match taken {
            Ok(None) => {}
            Ok(Some(decision)) => {
                self.decided.insert(one.id, decision);
            }
            Err(reason) => {
                self.decided.insert(one.id, Decision::Dead(reason));
            }
        }
    }

    pub(super) fn begin(&mut self, one: &Asked<'_>) -> &mut Done {
        self.done.entry(one.id).or_insert_with(|| Done {
            holds: 0,
            note: None,
            manifest_only: false,
            removed: false,
        })
    }

    fn upsert(&mut self, one: &Asked<'_>, upsert: &Upsert) -> Result<Option<Decision>, String> {
        let mut winners: Vec<&FlowName> = Vec::new();
        let mut lost = None;
        for flow in upsert.body.flows() {
            match self.late(&flow.key(), one)? {
                None => winners.push(flow),
                Some(decision) => {
                    self.put_late(one, flow, &upsert.schedule);
                    lost = Some(decision);
                }
            }
        }
        if winners.is_empty() {
            return lost.map(Some).ok_or_else(|| "it names no flow".into());
        }
        let keys: BTreeSet<String> = winners.iter().map(|flow| flow.key()).collect();
        let mut adopted = false;
        for flow in &winners {
            adopted |= self.may_take(flow, one)?;
        }
        let made = self.files_of(&upsert.body, &winners)?;
        self.no_conflict(one, &upsert.body, &keys, &made)?;
        self.begin(one).manifest_only |= adopted;
        self.begin(one).note = adopted.then_some(ADOPTED);
        for key in &keys {
            self.unclaim(key);
        }
        for (flow, files) in made {
            self.bring(one, &flow, files, &upsert.schedule);
        }
        Ok(None)
    }

    /// Whether a flow may be brought by this owner; `true`: it is adopted by that.
    pub(super) fn may_take(&self, flow: &FlowName, one: &Asked<'_>) -> Result<bool, String> {
        let Some(there) = self.flows.get(&flow.key()) else {
            return Ok(false);
        };
        if there.name != flow.as_str() {
            return Err(format!(
                "flow {flow} differs in case only from the existing flow {}",
                there.name
            ));
        }
        match self.manifest.flows.get(&flow.key()) {
            Some(entry) if entry.owner == one.owner => Ok(false),
            Some(entry) if !entry.owner.is_empty() => {
                Err(format!("flow {flow} belongs to owner {}", entry.owner))
            }
            _ if one.rules.adopt => Ok(true),
            _ => Err(format!(
                "flow {flow} is there already, nobody owns it, and adopting was ruled out"
            )),
        }
    }

    /// The files of each winning flow, in the project's format, checked alone.
    fn files_of(&self, body: &Body, winners: &[&FlowName]) -> Result<Vec<Made>, String> {
        match body {
            Body::Flow(flow) => Ok(vec![(flow.name.clone(), self.written(flow)?)]),
            Body::Unit(unit) if unit.format == self.format => self.files_of_unit(unit, winners),
            Body::Unit(unit) => {
                let tree = self.with_properties(unit);
                winners
                    .iter()
                    .map(|name| {
                        let flow = lift(&tree, unit.format, name.as_str()).map_err(|lossy| {
                            let (project, unit) = (self.format, unit.format);
                            format!("the project is Flow {project}, the change Flow {unit}: {lossy}")
                        })?;
                        Ok(((*name).clone(), self.written(&flow)?))
                    })
                    .collect()
            }
        }
    }

    fn written(&self, flow: &Flow) -> Result<BTreeMap<String, Bytes>, String> {
        if let Some(finding) = check_flow(flow, self.format).into_iter().next() {
            return Err(finding.message);
        }
        let files = render(flow, self.format).map_err(|error| error.to_string())?;
        Ok(files.into_iter().collect())
    }

    fn files_of_unit(&self, unit: &Unit, winners: &[&FlowName]) -> Result<Vec<Made>, String> {
        let tree = self.with_properties(unit);
        let loaded = match outline(&tree) {
            Load::Flows(loaded) => loaded,
            Load::Refused(problems) => {
                return Err(problems
                    .into_iter()
                    .map(|problem| problem.message)
                    .collect::<Vec<_>>()
                    .join("; "));
            }
            Load::Exception(problem) => return Err(problem.message),
            Load::StackOverflow => return Err("its jobs depend on each other in a circle".into()),
        };
        let mut made = Vec::with_capacity(winners.len());
        for name in winners {
            if loaded.flow(name.as_str()).is_none() {
                return Err(format!("its files make no flow {name}"));
            }
            let paths = loaded.paths_of(name.as_str());
            let files = paths.into_iter().filter_map(|path| {
                unit.files
                    .get(path)
                    .map(|content| (path.to_owned(), content.0.clone()))
            });
            made.push(((*name).clone(), files.collect()));
        }
        Ok(made)
    }

    /// A unit's files with what they inherit: the properties files of the project, and its `.project` file, so that they
    /// are read in their own format.
    fn with_properties(&self, unit: &Unit) -> Tree {
        let mut tree = self.inherited.clone();
        tree.retain(|path, _| unit.format == Format::V2 || !is_read_as(path, ".project"));
        if unit.format == Format::V2 && !tree.keys().any(|path| is_read_as(path, ".project")) {
            let (path, content) = PROJECT_FILE;
            tree.insert(path.to_owned(), Bytes::from_static(content.as_bytes()));
        }
        tree.extend(
            unit.files
                .iter()
                .map(|(path, content)| (path.clone(), content.0.clone())),
        );
        tree
    }

    /// Refuses files that other flows need with other content: of another owner always, of a generated flow too.
    fn no_conflict(
        &self,
        one: &Asked<'_>,
        body: &Body,
        keys: &BTreeSet<String>,
        made: &[Made],
    ) -> Result<(), String> {
        for (path, content) in made.iter().flat_map(|(_, files)| files) {
            if self.content(path) == Some(content) {
                continue;
            }
            let others = self
                .claims
                .get(path.as_str())
                .into_iter()
                .flat_map(Claimants::iter)
                .filter(|key| !keys.contains(*key));
            for other in others {
                let owner = self.manifest.flows.get(other).map_or("", |entry| &entry.owner);
                let name = self.flows.get(other).map_or(other, |flow| &flow.name);
                if owner != one.owner {
                    let whose = if owner.is_empty() {
                        "nobody's".to_owned()
                    } else {
                        format!("owner {owner}'s")
                    };
                    return Err(format!(
                        "file {path} is also part of {whose} flow {name}, with other content"
                    ));
                }
                if matches!(body, Body::Flow(_)) {
                    return Err(format!("job file {path} is part of flow {name} already"));
                }
            }
        }
        Ok(())
    }

    fn bring(
        &mut self,
        one: &Asked<'_>,
        flow: &FlowName,
        files: BTreeMap<String, Bytes>,
        schedule: &Schedule,
    ) {
        let paths: Vec<String> = files.keys().cloned().collect();
        for (path, content) in files {
            let newest = self
                .claims
                .get(path.as_str())
                .into_iter()
                .flat_map(Claimants::iter)
                .filter_map(|key| self.newest(key))
                .max();
            if newest.is_none_or(|newest| newest <= one.order) || self.content(&path).is_none() {
                self.put(path, content, one.id);
            }
        }
        self.claim(flow.as_str(), paths.iter().map(String::as_str));
        if self.format == Format::V2 && !self.has_project_file() {
            let (path, content) = PROJECT_FILE;
            self.put(path.to_owned(), Bytes::from_static(content.as_bytes()), one.id);
        }
        let key = flow.key();
        let before = self.manifest.flows.get(&key);
        let (mut cron, mut cron_at) = match before {
            Some(entry) => (entry.cron.clone(), entry.cron_at),
            // what was deleted is gone with its schedule
            None => (None, self.manifest.gone_flows.get(&key).copied()),
        };
        let owned_at = match before {
            Some(entry) if entry.owner == one.owner => entry.owned_at,
            _ => Some(one.order),
        };
        if let Some(wish) = Wish::of(schedule) {
            (cron, cron_at) = (wish.cron(), Some(one.order));
            self.wish(&key, one.id, wish);
        }
        // also where its owner let go of it in this very batch, and the files are the same
        let recorded = self.base.manifest.as_ref().and_then(|base| base.flows.get(&key));
        let moves = recorded.is_none_or(|entry| entry.owner != one.owner);
        self.begin(one).manifest_only |= moves;
        let entry = FlowEntry {
            name: flow.clone(),
            order: one.order,
            owner: one.owner.to_owned(),
            owned_at,
            cron,
            cron_at,
        };
        self.manifest.flows.insert(key.clone(), entry);
        self.manifest.gone_flows.remove(&key);
        self.remember(&key);
        self.hold(flow_key(&key), one.id);
    }

    fn has_project_file(&self) -> bool {
        self.inherited.keys().any(|path| is_read_as(path, ".project"))
    }

    fn delete(&mut self, one: &Asked<'_>, flow: &FlowName) -> Result<Option<Decision>, String> {
        let key = flow.key();
        if let Some(decision) = self.late(&key, one)? {
            self.deleted_late(one, &key);
            return Ok(Some(decision));
        }
        if let Some(entry) = self.manifest.flows.get(&key)
            && entry.owner != one.owner
            && !entry.owner.is_empty()
        {
            return Err(format!("flow {flow} belongs to owner {}", entry.owner));
        }
        let there = self.flows.contains_key(&key);
        self.begin(one).removed |= there;
        self.gone(one.id, one.order, &key);
        Ok(None)
    }

    /// A flow was deleted at this place in the order.
    pub(super) fn gone(&mut self, by: ChangeId, order: Order, key: &str) {
        self.unclaim(key);
        self.manifest.flows.remove(key);
        self.manifest.gone_flows.insert(key.to_owned(), order);
        let seen = SeenFlow {
            order,
            cron: None,
            cron_at: Some(order),
            owned_at: None,
        };
        self.fresh.flows.insert(key.to_owned(), seen);
        // for a flow that a later change of the batch brings back: Azkaban does not see it go
        self.wish(key, by, Wish::Remove);
        self.hold(flow_key(key), by);
    }

    fn delete_matching(&mut self, one: &Asked<'_>, pattern: &Pattern) {
        if self
            .manifest
            .gone_patterns
            .iter()
            .any(|gone| gone.order == one.order)
        {
            self.decided.insert(one.id, Decision::Unchanged);
            return self.ended_late(one, pattern);
        }
        let entries = self.manifest.flows.iter();
        let mine: Vec<String> = entries
            .filter(|(key, entry)| {
                entry.owner == one.owner && entry.order < one.order && matches(pattern, key)
            })
            .map(|(key, _)| key.clone())
            .collect();
        let done = self.begin(one);
        done.removed |= !mine.is_empty();
        for key in &mine {
            self.gone(one.id, one.order, key);
        }
        let gone = PatternEntry {
            order: one.order,
            owner: one.owner.to_owned(),
            pattern: pattern.clone(),
        };
        self.fresh.patterns.push(gone.clone());
        self.manifest.gone_patterns.push(gone);
        self.manifest.gone_patterns.sort_by_key(|gone| gone.order);
        self.ended_late(one, pattern);
    }

    /// Puts (or, without content, takes away) a file that flows share.
    fn put_file(
        &mut self,
        one: &Asked<'_>,
        path: &str,
        content: Option<&Bytes>,
    ) -> Result<Option<Decision>, String> {
        shared_path(path, self.format)?;
        let entry = self.manifest.files.get(path);
        let known = entry
            .map(|entry| entry.order)
            .max(self.manifest.gone_files.get(path).copied());
        if let Some(known) = known.filter(|known| *known >= one.order) {
            return Ok(Some(if known == one.order {
                Decision::Unchanged
            } else {
                Decision::Superseded
            }));
        }
        if known.is_none()
            && let Some(decision) = too_old(self.manifest.floor, one.order)?
        {
            return Ok(Some(decision));
        }
        if let Some(entry) = entry.filter(|entry| entry.owner != one.owner && !entry.owner.is_empty()) {
            return Err(format!("file {path} belongs to owner {}", entry.owner));
        }
        let same = self.content(path) == content;
        if !same && is_read_as(path, ".properties") {
            self.reaches_only_mine(one, path)?;
        }
        let adopted =
            content.is_some() && self.content(path).is_some() && entry.is_none_or(|e| e.owner != one.owner);
        if adopted && !one.rules.adopt {
            return Err(format!(
                "file {path} is there already, nobody owns it, and adopting was ruled out"
            ));
        }
        let done = self.begin(one);
        done.manifest_only |= adopted;
        done.note = adopted.then_some(ADOPTED);
        if let Some(content) = content {
            self.put(path.to_owned(), content.clone(), one.id);
            let entry = FileEntry {
                order: one.order,
                owner: one.owner.to_owned(),
            };
            self.manifest.files.insert(path.to_owned(), entry);
            self.manifest.gone_files.remove(path);
        } else {
            done.removed |= !same;
            self.take_away(path);
            self.manifest.files.remove(path);
            self.manifest.gone_files.insert(path.to_owned(), one.order);
        }
        self.fresh.files.insert(path.to_owned(), one.order);
        self.hold(file_key(path), one.id);
        Ok(None)
    }

    /// A properties file is inherited by all jobs in its folder and below.
    fn reaches_only_mine(&self, one: &Asked<'_>, path: &str) -> Result<(), String> {
        let folder = path
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for (key, flow) in &self.flows {
            let owner = self.manifest.flows.get(key).map_or("", |entry| &entry.owner);
            if owner != one.owner && flow.paths.iter().any(|job| job.starts_with(&folder)) {
                return Err(format!(
                    "file {path} would reach flow {}, which is not yours",
                    flow.name
                ));
            }
        }
        Ok(())
    }
}

/// The rules for the path of a shared file.
fn shared_path(path: &str, format: Format) -> Result<(), String> {
    let parts = || path.split('/');
    if path.is_empty()
        || path.contains('\\')
        || parts().any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(format!("{path:?} is no path inside a project"));
    }
    if path == flowlift_common::manifest::PATH {
        return Err(format!("file {path} is Flowlift's own"));
    }
    // what Azkaban does not read in this format is a file like any other: .flow beside jobs, the hidden ones of a Mac
    let end = match format {
        Format::V1 => ".job",
        Format::V2 => ".flow",
    };
    if is_read_as(path, end) || is_read_as(path, ".project") {
        return Err(format!("file {path} is part of a flow, not a shared file"));
    }
    Ok(())
}
