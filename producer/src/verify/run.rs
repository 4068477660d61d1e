//! A run against the projects it changed: what its consumers settled must still be there.

use std::collections::BTreeMap;

use flowlift_azkaban::name::fold;
use flowlift_azkaban::{FlowName, ProjectName};
use flowlift_common::Act;
use flowlift_common::ledger::{Outcome, Settled};
use flowlift_common::manifest::Manifest;
use flowlift_common::order::RunId;

use super::{Difference, Schedules, schedule_differs};
use crate::readback::Project;

/// What a run settled in each project: what each change was about, and whether it was applied in an upload.
#[derive(Debug, Clone, Default)]
pub struct Touched(BTreeMap<ProjectName, BTreeMap<String, bool>>);

impl Touched {
    /// Takes a record of the ledger; records may come twice.
    pub fn settled(&mut self, run: RunId, record: &Settled) {
        for result in record.results.iter().filter(|result| result.run == run) {
            let applied = match result.outcome {
                Outcome::Applied | Outcome::Restored => true,
                Outcome::Unchanged => false,
                Outcome::Superseded | Outcome::Cancelled | Outcome::Dead => continue,
            };
            let project = self.0.entry(record.project.clone()).or_default();
            for label in result.labels.iter().filter(|label| is_of_something(label)) {
                // a unit's label holds all its flows; no flow has a comma in its name
                for name in label.split(", ") {
                    *project.entry(name.to_owned()).or_default() |= applied;
                }
            }
        }
    }

    /// The projects.
    pub fn projects(&self) -> impl Iterator<Item = &ProjectName> {
        self.0.keys()
    }

    /// How many flows and files.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.values().map(|names| names.len() as u64).sum()
    }

    /// Whether nothing was settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is no longer as the run left it, or as a later change of Flowlift left it.
    #[must_use]
    pub fn compare(&self, name: &ProjectName, project: &Project, schedules: &Schedules) -> Vec<Difference> {
        let Some(names) = self.0.get(name) else {
            return Vec::new();
        };
        let difference = |what: &str, text: String| Difference {
            project: name.clone(),
            what: what.to_owned(),
            text,
        };
        let Some(zip) = &project.zip else {
            return vec![difference("", "nothing is uploaded there any more".into())];
        };
        let Some(manifest) = &zip.manifest else {
            let text = format!(
                "its current zip (version {}) was not uploaded by Flowlift",
                zip.version
            );
            return vec![difference("", text)];
        };
        let mut found = Vec::new();
        for (label, applied) in names {
            if let Some(text) = one(label, *applied, project, manifest, name, schedules) {
                found.push(difference(label, text));
            }
        }
        found
    }
}

/// A check and a deletion by pattern name no flow.
fn is_of_something(label: &str) -> bool {
    label != Act::Check.label() && !label.starts_with("flows matching ")
}

fn one(
    label: &str,
    applied: bool,
    project: &Project,
    manifest: &Manifest,
    name: &ProjectName,
    schedules: &Schedules,
) -> Option<String> {
    let key = fold(label);
    if let Some(entry) = manifest.flows.get(&key) {
        if !project.listed.contains(entry.name.as_str()) {
            return Some("it is missing in Azkaban".into());
        }
        // a schedule that Flowlift never set is nobody's business here
        let wanted = entry.cron.as_deref()?;
        return schedule_differs(schedules.cron(name, &entry.name), Some(wanted));
    }
    if let Some(path) = label.strip_prefix("file ") {
        let there = project
            .zip
            .as_ref()
            .is_some_and(|zip| zip.tree.contains_key(path));
        let known = manifest.files.contains_key(path);
        return (known && !there).then(|| "it is missing in the current zip".into());
    }
    let flow = FlowName::new(label).ok()?;
    let listed = project.listed.iter().any(|listed| fold(listed) == key);
    let gone = manifest.gone_flows.contains_key(&key)
        || manifest.gone_patterns.iter().any(|gone| {
            let spared = gone.pattern.except.iter().any(|flow| flow.key() == key);
            !spared && glob_match::glob_match(&fold(&gone.pattern.glob), &key)
        });
    match (listed, gone) {
        (true, true) => Some("it was deleted and is there again, not by Flowlift".into()),
        (false, false) if applied && manifest.floor.is_none() => {
            Some(format!("Flowlift's manifest does not know {flow} any more"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use flowlift_azkaban::{Format, Load, Tree, load};
    use flowlift_common::Order;
    use flowlift_common::ledger::{Detail, Outcomes, SETTLED_VERSION};
    use flowlift_common::manifest::FlowEntry;

    use crate::readback::Zip;

    fn run() -> RunId {
        RunId(uuid::Uuid::from_u128(1))
    }

    fn order() -> Order {
        Order {
            rank: 1,
            run: run(),
            seq: 1,
        }
    }

    fn project(flows: &[&str], manifest: Option<Manifest>) -> Project {
        let tree: Tree = flows
            .iter()
            .map(|flow| (format!("{flow}.job"), "type=noop\n".into()))
            .collect();
        let Load::Flows(loaded) = load(&tree) else {
            panic!("it is accepted")
        };
        Project {
            listed: loaded
                .listed()
                .into_iter()
                .map(str::to_owned)
                .collect::<BTreeSet<_>>(),
            zip: Some(Zip {
                version: 4,
                bytes: Bytes::new(),
                tree,
                loaded,
                manifest,
            }),
        }
    }

    fn touched(outcome: Outcome, labels: &[&str]) -> Touched {
        let mut touched = Touched::default();
        touched.settled(
            run(),
            &Settled {
                v: SETTLED_VERSION,
                project: ProjectName::new("p").unwrap(),
                consumer: "c".into(),
                at_ms: 0,
                upload: None,
                created_project: false,
                results: vec![Outcomes {
                    run: run(),
                    outcome,
                    note: None,
                    ranges: vec![(1, labels.len() as u64)],
                    labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                    published_ms: 0,
                    spread: Vec::new(),
                }],
                detail: Detail::default(),
            },
        );
        touched
    }

    fn texts(touched: &Touched, project: &Project) -> Vec<String> {
        let name = ProjectName::new("p").unwrap();
        touched
            .compare(&name, project, &Schedules::default())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn manifest(flows: &[(&str, Option<&str>)], gone: &[&str]) -> Manifest {
        let mut manifest = Manifest::empty(Format::V1);
        for (flow, cron) in flows {
            let entry = FlowEntry {
                name: FlowName::new(*flow).unwrap(),
                order: order(),
                owner: String::new(),
                owned_at: None,
                cron: cron.map(str::to_owned),
                cron_at: None,
            };
            manifest.flows.insert(fold(flow), entry);
        }
        for flow in gone {
            manifest.gone_flows.insert(fold(flow), order());
        }
        manifest
    }

    #[test]
    fn what_a_run_applied_must_be_listed_and_on_its_schedule() {
        let manifest = manifest(&[("a", None), ("b", None), ("c", Some("0 0 3 ? * *"))], &["d"]);
        let project = project(&["a", "c"], Some(manifest));
        assert_eq!(
            texts(&touched(Outcome::Applied, &["a, b", "c", "d", "e"]), &project),
            [
                "p: b: it is missing in Azkaban",
                "p: c: it has no schedule, expected \"0 0 3 ? * *\"",
                "p: e: Flowlift's manifest does not know e any more",
            ]
        );
        assert!(texts(&touched(Outcome::Unchanged, &["a", "d", "e"]), &project).is_empty());
        assert!(texts(&touched(Outcome::Dead, &["b"]), &project).is_empty());
        let nameless = [Act::Check.label(), "flows matching a*".to_owned()];
        for label in &nameless {
            assert!(
                texts(&touched(Outcome::Applied, &[label]), &project).is_empty(),
                "{label}"
            );
        }
    }

    #[test]
    fn a_zip_of_somebody_else_is_a_difference_of_the_project() {
        let project = project(&["a"], None);
        assert_eq!(
            texts(&touched(Outcome::Applied, &["a"]), &project),
            ["p: its current zip (version 4) was not uploaded by Flowlift"]
        );
    }
}
