//! Flows from a number: the same number gives the same flow whatever the count is.

use std::collections::BTreeMap;

use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{Flow, FlowName, Job, ProjectName};
use flowlift_common::{Act, Body, Schedule, Upsert};

use super::{Item, Place};
use crate::template::Template;

/// How jobs of a generated flow depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Shape {
    /// One job.
    #[default]
    Single,
    /// One after another.
    Chain,
    /// A first one, then all others at once, then a last one.
    FanOut,
}

/// What is generated.
#[derive(Debug, Clone)]
pub struct Generate {
    /// How many flows: numbers 1 to this.
    pub count: u64,
    /// Project of each.
    pub project: Template,
    /// Name of each.
    pub name: Template,
    /// Command of each job.
    pub command: Template,
    /// What becomes of each schedule.
    pub schedule: Plan,
    /// Jobs of each flow.
    pub jobs: usize,
    /// How they depend on each other.
    pub shape: Shape,
}

/// A schedule that may differ from flow to flow.
#[derive(Debug, Clone)]
pub enum Plan {
    /// As it is.
    Keep,
    /// None afterwards.
    Remove,
    /// Set.
    Cron(Template),
}

impl Generate {
    /// All flows, made one by one.
    pub fn items(&self) -> impl Iterator<Item = Result<Item, Finding>> + Send + '_ {
        (1..=self.count).map(|n| self.item(n))
    }

    fn item(&self, n: u64) -> Result<Item, Finding> {
        let finding = |field: &str, message: String| Finding {
            path: None,
            line: None,
            field: Some(field.to_owned()),
            message: format!("{message} (flow number {n})"),
        };
        let project = ProjectName::new(self.project.fill(n))
            .map_err(|error| finding("--project", error.to_string()))?;
        let name = FlowName::new(self.name.fill(n))
            .map_err(|error| finding("--template name", error.to_string()))?;
        let schedule = match &self.schedule {
            Plan::Keep => Schedule::Keep,
            Plan::Remove => Schedule::Remove,
            Plan::Cron(template) => Schedule::Set(template.fill(n)),
        };
        let jobs = self.jobs(&name, &self.command.fill(n));
        let flow = Flow {
            name,
            jobs,
            props: BTreeMap::new(),
        };
        Ok(Item {
            project,
            place: Place::default(),
            act: Act::Upsert(Upsert {
                body: Body::Flow(flow),
                schedule,
            }),
        })
    }

    fn jobs(&self, flow: &FlowName, command: &str) -> Vec<Job> {
        let job = |name: String, depends_on: Vec<String>| Job {
            name,
            kind: "command".into(),
            props: BTreeMap::from([("command".to_owned(), command.to_owned())]),
            depends_on,
        };
        let step = |at: usize| format!("step_{at}");
        match self.shape {
            Shape::Single => vec![job(flow.to_string(), vec![])],
            Shape::Chain => (1..=self.jobs)
                .map(|at| job(step(at), if at == 1 { vec![] } else { vec![step(at - 1)] }))
                .collect(),
            Shape::FanOut => (1..=self.jobs)
                .map(|at| match at {
                    1 => job(step(1), vec![]),
                    _ if at == self.jobs && at > 2 => job(step(at), (2..at).map(step).collect()),
                    _ => job(step(at), vec![step(1)]),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate(count: u64, jobs: usize, shape: Shape) -> Generate {
        Generate {
            count,
            project: "p{n%2}".parse().unwrap(),
            name: "flow_{n:06}".parse().unwrap(),
            command: "echo {n}".parse().unwrap(),
            schedule: Plan::Cron("0 {n%60} * ? * *".parse().unwrap()),
            jobs,
            shape,
        }
    }

    fn needs(shape: Shape, jobs: usize) -> Vec<Vec<String>> {
        let item = generate(1, jobs, shape).items().next().unwrap().unwrap();
        let Act::Upsert(Upsert {
            body: Body::Flow(flow),
            ..
        }) = item.act
        else {
            panic!("a flow was generated");
        };
        flow.jobs.into_iter().map(|job| job.depends_on).collect()
    }

    #[test]
    fn a_number_gives_the_same_flow_whatever_the_count() {
        let few: Vec<_> = generate(3, 1, Shape::Single).items().collect();
        let many: Vec<_> = generate(100, 1, Shape::Single).items().take(3).collect();
        assert_eq!(few, many);
        let third = few[2].as_ref().unwrap();
        assert_eq!(
            (third.project.as_str(), third.act.clone()),
            ("p1", {
                let flow = Flow {
                    name: FlowName::new("flow_000003").unwrap(),
                    jobs: vec![Job {
                        name: "flow_000003".into(),
                        kind: "command".into(),
                        props: BTreeMap::from([("command".into(), "echo 3".into())]),
                        depends_on: vec![],
                    }],
                    props: BTreeMap::new(),
                };
                Act::Upsert(Upsert {
                    body: Body::Flow(flow),
                    schedule: Schedule::Set("0 3 * ? * *".into()),
                })
            })
        );
    }

    #[test]
    fn shapes_have_the_asked_number_of_jobs() {
        assert_eq!(
            needs(Shape::Chain, 3),
            [vec![], vec!["step_1".to_owned()], vec!["step_2".to_owned()]]
        );
        assert_eq!(
            needs(Shape::FanOut, 4),
            [
                vec![],
                vec!["step_1".to_owned()],
                vec!["step_1".to_owned()],
                vec!["step_2".to_owned(), "step_3".to_owned()]
            ]
        );
        assert_eq!(needs(Shape::FanOut, 2), [vec![], vec!["step_1".to_owned()]]);
    }

    #[test]
    fn a_bad_name_is_told_with_its_number() {
        let mut bad = generate(1, 1, Shape::Single);
        bad.name = "a,{n}".parse().unwrap();
        let finding = bad.items().next().unwrap().unwrap_err();
        assert_eq!(
            finding.to_string(),
            "--template name: flow name \"a,1\" must not contain a comma (flow number 1)"
        );
    }
}
