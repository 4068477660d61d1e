//! One change of a source against a project.

use bytes::Bytes;
use flowlift_azkaban::{Flow, FlowName, Lossy, ProjectName, Tree, lift, render};
use flowlift_common::{Act, Body, Content, Schedule, Unit};

use super::{Difference, Schedules, schedule_differs};
use crate::readback::{Project, Zip};

/// What is not as this change wants it.
#[must_use]
pub fn compare(name: &ProjectName, act: &Act, project: &Project, schedules: &Schedules) -> Vec<Difference> {
    let mut compare = Compare {
        name,
        project,
        schedules,
        found: Vec::new(),
    };
    match act {
        Act::Upsert(upsert) => {
            match &upsert.body {
                Body::Flow(flow) => compare.flow(flow),
                Body::Unit(unit) => compare.unit(unit),
            }
            for flow in upsert.body.flows() {
                compare.schedule(flow, &upsert.schedule);
            }
        }
        Act::Delete { flow } => {
            if project
                .listed
                .iter()
                .any(|listed| flowlift_azkaban::name::fold(listed) == flow.key())
            {
                compare.add(flow.as_str(), "it should be gone and is still there");
            }
        }
        Act::PutFile { path, content } => {
            let there = project.zip.as_ref().and_then(|zip| zip.tree.get(path));
            compare.file(&format!("file {path}"), path, content, there);
        }
        Act::DeleteFile { path } => {
            if project
                .zip
                .as_ref()
                .is_some_and(|zip| zip.tree.contains_key(path))
            {
                compare.add(&format!("file {path}"), "it should be gone and is still there");
            }
        }
        Act::DeleteMatching(_) | Act::Check => {}
    }
    compare.found
}

struct Compare<'a> {
    name: &'a ProjectName,
    project: &'a Project,
    schedules: &'a Schedules,
    found: Vec<Difference>,
}

impl Compare<'_> {
    fn add(&mut self, what: &str, text: impl Into<String>) {
        self.found.push(Difference {
            project: self.name.clone(),
            what: what.to_owned(),
            text: text.into(),
        });
    }

    /// Whether Azkaban lists a flow; tells if not.
    fn is_listed(&mut self, flow: &FlowName) -> bool {
        let listed = self.project.listed.contains(flow.as_str());
        if !listed {
            self.add(flow.as_str(), "it is missing in Azkaban");
        }
        listed
    }

    fn flow(&mut self, flow: &Flow) {
        let Some(zip) = &self.project.zip else {
            self.is_listed(&flow.name);
            return;
        };
        if !self.is_listed(&flow.name) {
            return;
        }
        match render(flow, zip.format()) {
            Ok(files) => self.files(flow.name.as_str(), files, zip),
            Err(error) => self.add(flow.name.as_str(), error.to_string()),
        }
    }

    fn files(&mut self, what: &str, files: Vec<(String, Bytes)>, zip: &Zip) {
        for (path, content) in files {
            self.file(what, &path, &Content(content), zip.tree.get(&path));
        }
    }

    fn file(&mut self, what: &str, path: &str, wanted: &Content, there: Option<&Bytes>) {
        match there {
            None => self.add(what, format!("{path} is missing in the current zip")),
            Some(there) if *there != wanted.0 => self.add(what, format!("{path} has another content")),
            Some(_) => {}
        }
    }

    fn unit(&mut self, unit: &Unit) {
        let listed: Vec<bool> = unit.flows.iter().map(|flow| self.is_listed(flow)).collect();
        let Some(zip) = &self.project.zip else { return };
        if !listed.into_iter().all(|listed| listed) {
            return;
        }
        if unit.format == zip.format() {
            let what = unit.flows.first().map_or("", |flow| flow.as_str()).to_owned();
            for (path, content) in &unit.files {
                self.file(&what, path, content, zip.tree.get(path));
            }
            return;
        }
        // the consumer has rewritten it in the project's format
        let tree: Tree = unit
            .files
            .iter()
            .map(|(path, content)| (path.clone(), content.0.clone()))
            .collect();
        for flow in &unit.flows {
            match rewritten(&tree, unit, flow, zip) {
                Ok(files) => self.files(flow.as_str(), files, zip),
                Err(reason) => self.add(flow.as_str(), reason),
            }
        }
    }

    fn schedule(&mut self, flow: &FlowName, schedule: &Schedule) {
        let wanted = match schedule {
            Schedule::Keep => return,
            Schedule::Remove => None,
            Schedule::Set(cron) => Some(cron.as_str()),
        };
        if let Some(text) = schedule_differs(self.schedules.cron(self.name, flow), wanted) {
            self.add(flow.as_str(), text);
        }
    }
}

fn rewritten(tree: &Tree, unit: &Unit, flow: &FlowName, zip: &Zip) -> Result<Vec<(String, Bytes)>, String> {
    let mut tree = tree.clone();
    if unit.format == flowlift_azkaban::Format::V2 {
        let (path, content) = flowlift_azkaban::PROJECT_FILE;
        tree.insert(path.to_owned(), Bytes::from_static(content.as_bytes()));
    }
    let lifted = lift(&tree, unit.format, flow.as_str()).map_err(|error: Lossy| error.to_string())?;
    render(&lifted, zip.format()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use flowlift_azkaban::{Format, Job, Load, load};
    use flowlift_common::Upsert;

    fn flow(name: &str, command: &str) -> Flow {
        Flow {
            name: FlowName::new(name).unwrap(),
            jobs: vec![Job {
                name: name.into(),
                kind: "command".into(),
                props: BTreeMap::from([("command".into(), command.into())]),
                depends_on: vec![],
            }],
            props: BTreeMap::new(),
        }
    }

    fn project(flows: &[Flow]) -> Project {
        let tree: Tree = flows
            .iter()
            .flat_map(|flow| render(flow, Format::V1).unwrap())
            .collect();
        let Load::Flows(loaded) = load(&tree) else {
            panic!("it is accepted")
        };
        Project {
            listed: loaded.listed().into_iter().map(str::to_owned).collect(),
            zip: Some(Zip {
                version: 1,
                bytes: Bytes::new(),
                tree,
                loaded,
                manifest: None,
            }),
        }
    }

    fn texts(act: &Act, project: &Project, cron: &[(&str, &str)]) -> Vec<String> {
        let name = ProjectName::new("p").unwrap();
        let schedules = Schedules(
            cron.iter()
                .map(|(flow, cron)| (("p".to_owned(), (*flow).to_owned()), (*cron).to_owned()))
                .collect(),
        );
        compare(&name, act, project, &schedules)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn upsert(flow: Flow, schedule: Schedule) -> Act {
        Act::Upsert(Upsert {
            body: Body::Flow(flow),
            schedule,
        })
    }

    #[test]
    fn names_contents_and_schedules_are_compared() {
        let project = project(&[flow("a", "x"), flow("b", "x")]);
        let set = || Schedule::Set("0 0 3 ? * *".into());
        assert!(
            texts(
                &upsert(flow("a", "x"), Schedule::Keep),
                &project,
                &[("a", "other")]
            )
            .is_empty()
        );
        assert_eq!(
            texts(&upsert(flow("a", "y"), Schedule::Keep), &project, &[]),
            ["p: a: a.job has another content"]
        );
        assert_eq!(
            texts(&upsert(flow("c", "x"), Schedule::Keep), &project, &[]),
            ["p: c: it is missing in Azkaban"]
        );
        assert_eq!(
            texts(&upsert(flow("a", "x"), set()), &project, &[]),
            ["p: a: it has no schedule, expected \"0 0 3 ? * *\""]
        );
        assert_eq!(
            texts(
                &upsert(flow("a", "x"), Schedule::Remove),
                &project,
                &[("a", "0 0 3 ? * *")]
            ),
            ["p: a: its schedule is \"0 0 3 ? * *\", expected none"]
        );
        let gone = Act::Delete {
            flow: FlowName::new("A").unwrap(),
        };
        assert_eq!(
            texts(&gone, &project, &[]),
            ["p: A: it should be gone and is still there"]
        );
    }
}
