//! The load of a round: runs over several projects, published one after another by the real `flowlift`, with upserts,
//! deletions, schedules and poison.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::expected::{Cron, Line, Run, What};
use crate::options::Options;

/// Projects of a round.
const PROJECTS: usize = 4;
/// Flows that change, in each of them.
const FLOWS: usize = 24;
/// A round publishes no more runs than this under its fault.
const MOST_RUNS: usize = 80;
/// From the end of one publishing to the next.
const PAUSE: Duration = Duration::from_millis(250);
/// A publishing that takes longer is ended and repeated.
const PUBLISHING: Duration = Duration::from_secs(300);

/// A flow of this name is laid and never changed: the same name in another case is poison.
const SPELT: &str = "spelt_once";
/// Laid by one owner; a change by another one is poison.
const OWNED: &str = "owned";
/// Flows that people may remove.
pub(crate) const GIVEN_UP: usize = 4;

/// Everything published so far.
pub(crate) struct Load {
    options: Options,
    url: String,
    /// The projects' names.
    pub(crate) projects: Vec<String>,
    /// What was published to its end, in this order.
    pub(crate) runs: Vec<Run>,
    /// Why publishings had to be repeated.
    pub(crate) repeated: Vec<String>,
    dice: Dice,
    number: u64,
}

impl Load {
    pub(crate) fn new(options: Options, url: String, prefix: &str, seed: u64) -> Self {
        Self {
            options,
            url,
            projects: (0..PROJECTS).map(|n| format!("{prefix}_{n}")).collect(),
            runs: Vec::new(),
            repeated: Vec::new(),
            dice: Dice::new(seed),
            number: 0,
        }
    }

    /// The first two runs: all flows, some with schedules, and what poison needs.
    pub(crate) async fn lay_ground(&mut self) {
        let mut lines = Vec::new();
        for project in self.projects.clone() {
            lines.extend((0..FLOWS).map(|n| self.put(&project, &format!("f{n:02}"))));
            lines.extend((0..GIVEN_UP).map(|n| self.put(&project, &given_up(n))));
            lines.push(self.put(&project, SPELT));
        }
        self.publish("", lines).await;
        let lines = self.projects.clone();
        let lines = lines.iter().map(|project| self.put(project, OWNED)).collect();
        self.publish("team-a", lines).await;
    }

    /// Publishes run after run until told to stop.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) {
        for _ in 0..MOST_RUNS {
            if stop.is_cancelled() {
                return;
            }
            self.one().await;
            tokio::time::sleep(PAUSE).await;
        }
        stop.cancelled().await;
    }

    /// One run more.
    pub(crate) async fn one(&mut self) {
        if self.dice.chance(8) {
            let project = self.any_project();
            let poison = Line {
                project,
                flow: OWNED.into(),
                what: What::Poison,
            };
            return self.publish("team-b", vec![poison]).await;
        }
        let mut lines: Vec<Line> = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let project = self.any_project();
            for _ in 0..1 + self.dice.below(6) {
                let flow = format!("f{:02}", self.dice.below(FLOWS));
                if !lines
                    .iter()
                    .any(|line| line.project == project && line.flow == flow)
                {
                    let line = self.change(&project, &flow);
                    lines.push(line);
                }
            }
        }
        if self.dice.chance(12) {
            let project = self.any_project();
            lines.push(Line {
                project,
                flow: SPELT.to_uppercase(),
                what: What::Poison,
            });
        }
        self.publish("", lines).await;
    }

    /// A run that touches every project.
    pub(crate) async fn touch_all(&mut self) {
        let projects = self.projects.clone();
        let lines = projects.iter().map(|project| self.put(project, "f00")).collect();
        self.publish("", lines).await;
    }

    fn any_project(&mut self) -> String {
        self.projects[self.dice.below(PROJECTS)].clone()
    }

    fn put(&mut self, project: &str, flow: &str) -> Line {
        self.number += 1;
        let cron = match self.dice.below(10) {
            0..3 => Cron::Set(self.number),
            3 => Cron::Remove,
            _ => Cron::Keep,
        };
        Line {
            project: project.into(),
            flow: flow.into(),
            what: What::Put {
                content: self.number,
                cron,
            },
        }
    }

    fn change(&mut self, project: &str, flow: &str) -> Line {
        let mut line = self.put(project, flow);
        if self.dice.chance(20) {
            line.what = What::Delete;
        }
        line
    }

    /// Publishes these lines until one publishing of them came to its end: what an interrupted one left is the same content.
    async fn publish(&mut self, owner: &str, lines: Vec<Line>) {
        for _ in 0..20 {
            match self.try_publish(owner, &lines).await {
                Ok(id) => {
                    return self.runs.push(Run { id, lines });
                }
                Err(reason) => {
                    self.repeated.push(reason);
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        }
        panic!("nothing can be published any more");
    }

    async fn try_publish(&self, owner: &str, lines: &[Line]) -> Result<String, String> {
        let mut child = self
            .options
            .command("flowlift", &self.url)
            .args(["publish", "-", "--quiet", "--owner", owner])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("flowlift starts");
        let mut input = child.stdin.take().expect("its standard input");
        let text: String = lines.iter().map(Line::json).collect();
        let written = input.write_all(text.as_bytes()).await;
        drop(input);
        let ended = tokio::time::timeout(PUBLISHING, child.wait_with_output()).await;
        let out = ended.map_err(|_| "it took too long".to_owned())?;
        let out = out.expect("flowlift ends");
        if out.status.success() && written.is_ok() {
            Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
        } else {
            let said = String::from_utf8_lossy(&out.stderr);
            Err(format!("{}: {said}", out.status))
        }
    }
}

/// The name of a flow that people may remove.
pub(crate) fn given_up(n: usize) -> String {
    format!("given_up_{n}")
}
