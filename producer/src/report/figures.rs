//! The figures of a run, computed from what was collected. Pure.

use std::collections::{BTreeMap, HashMap};

use flowlift_azkaban::ProjectName;
use flowlift_common::fold::Opening;
use flowlift_common::ledger::Outcome;
use flowlift_common::order::RunId;
use serde_json::{Value, json};

use super::collect::{
    Collect, ConsumerFigures, DeadFigures, FaultAt, Line, ProjectFigures, STEPS, Step, Upload,
};
use super::latency::Latencies;
use super::threshold::Measures;
use crate::runs::State;
use crate::when::{Kept, stamp};

/// Points of the time line at most.
const POINTS: u64 = 120;
/// Lengths of a point, ms: people read these.
const LENGTHS: [u64; 16] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
    3_600_000, 21_600_000,
];

/// Changes settled over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeLine {
    /// When it begins, ms since 1970.
    pub from_ms: u64,
    /// How long a point is, ms.
    pub step_ms: u64,
    /// Changes settled in each.
    pub changes: Vec<u64>,
    /// Calls to Azkaban that failed, known in each.
    pub faults: Vec<u64>,
}

impl TimeLine {
    /// Changes per second in the best point.
    #[must_use]
    pub fn best(&self) -> f64 {
        let most = self.changes.iter().max().copied().unwrap_or_default();
        most as f64 * 1000.0 / self.step_ms.max(1) as f64
    }
}

/// Everything a report says.
#[derive(Debug, Clone)]
pub struct Figures {
    /// The run.
    pub run: RunId,
    /// How it is.
    pub state: State,
    /// What it said of itself; `None`: kept no longer.
    pub opening: Option<Opening>,
    /// Changes queued, once that is known.
    pub total: Option<u64>,
    /// Whether it was interrupted while it was published.
    pub partial: bool,
    /// What is counted.
    pub measures: Measures,
    /// When publishing ended, ms since 1970.
    pub published_ms: Option<u64>,
    /// When the last change was settled so far, ms since 1970.
    pub last_ms: Option<u64>,
    /// The deadline, and how it went.
    pub deadline: Option<(u64, Kept)>,
    /// Settled changes over time.
    pub time_line: TimeLine,
    /// From publishing to applied.
    pub latencies: Latencies,
    /// Uploads, by when they were settled.
    pub uploads: Vec<Upload>,
    /// Their places by the attempts' ids.
    pub attempts: HashMap<String, usize>,
    /// Projects, the slowest first.
    pub projects: Vec<(ProjectName, ProjectFigures)>,
    /// Consumers, the busiest first.
    pub consumers: Vec<(String, ConsumerFigures)>,
    /// Calls that failed, by class and code.
    pub faults: Vec<(String, String, u64)>,
    /// Changes that died, by reason, the commonest first.
    pub dead: Vec<(String, DeadFigures)>,
    /// How long the steps took.
    pub steps: [Step; STEPS.len()],
    /// The lines of the table for other programs.
    pub lines: Vec<Line>,
}

impl Figures {
    /// Of what was collected; `now_ms` is the reader's clock.
    #[must_use]
    pub fn of(collected: Collect, now_ms: u64) -> Self {
        let state = collected.state();
        let opening = state.opening().cloned();
        let settled_ms = state.settled_ms();
        let deadline_ms = opening.as_ref().and_then(|opening| opening.deadline_ms);
        let measures = collected.measures(now_ms);
        let mut uploads: Vec<(String, Upload)> = collected.uploads.into_iter().collect();
        uploads.sort_by(|(_, a), (_, b)| {
            (a.at_ms, &a.project, a.version).cmp(&(b.at_ms, &b.project, b.version))
        });
        let (attempts, uploads): (Vec<String>, Vec<Upload>) = uploads.into_iter().unzip();
        let mut projects: Vec<_> = collected.projects.into_iter().collect();
        projects.sort_by(|a, b| b.1.slowest_ms.cmp(&a.1.slowest_ms).then_with(|| a.0.cmp(&b.0)));
        let mut consumers: Vec<_> = collected.consumers.into_iter().collect();
        consumers.sort_by(|a, b| b.1.changes.cmp(&a.1.changes).then_with(|| a.0.cmp(&b.0)));
        let mut dead: Vec<_> = collected.dead.into_iter().collect();
        dead.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
        let begun = opening.as_ref().map(|opening| opening.at_ms);
        let state = collected.state;
        Self {
            run: state.run(),
            state: State::of(&state, now_ms),
            total: state.total(),
            partial: state.closing().is_some_and(|closing| closing.partial),
            published_ms: state.closing().map(|closing| closing.at_ms),
            last_ms: state.last_ms(),
            deadline: deadline_ms.map(|deadline| (deadline, Kept::of(deadline, settled_ms, now_ms))),
            time_line: time_line(begun, &collected.lines, &collected.faults),
            latencies: collected.latencies,
            measures,
            opening,
            uploads,
            attempts: attempts.into_iter().zip(0..).collect(),
            projects,
            consumers,
            faults: by_kind(&collected.faults),
            dead,
            steps: collected.steps,
            lines: collected.lines,
        }
    }

    /// Settled changes with an outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        let measures = &self.measures;
        match outcome {
            Outcome::Applied => measures.applied,
            Outcome::Unchanged => measures.unchanged,
            Outcome::Superseded => measures.superseded,
            Outcome::Cancelled => measures.cancelled,
            Outcome::Restored => measures.restored,
            Outcome::Dead => measures.dead,
        }
    }

    /// Changes per second, from opening to the last outcome.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.measures.done as f64 * 1000.0 / self.measures.duration_ms.max(1) as f64
    }

    /// Changes of the run per upload.
    #[must_use]
    pub fn per_upload(&self) -> Option<f64> {
        let carried: u64 = self.uploads.iter().map(|upload| upload.changes).sum();
        (!self.uploads.is_empty()).then(|| carried as f64 / self.uploads.len() as f64)
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ms = |thousandths| self.latencies.quantile(thousandths);
        let outcomes: BTreeMap<&str, u64> = Outcome::ALL
            .iter()
            .map(|outcome| (outcome.as_str(), self.count(*outcome)))
            .collect();
        let opening = self.opening.as_ref();
        let steps: Vec<Value> = STEPS
            .iter()
            .zip(&self.steps)
            .map(|(name, step)| json!({"step": name, "count": step.count, "mean_ms": step.mean_ms(), "max_ms": step.max_ms}))
            .collect();
        let uploads: Vec<Value> = self.uploads.iter().map(upload_json).collect();
        let projects = self.projects.iter().map(|(name, project)| {
            json!({"project": name, "changes": project.changes, "dead": project.dead, "slowest_ms": project.slowest_ms,
                "mean_ms": project.mean_ms(), "uploads": project.uploads, "upload_ms": project.upload_ms,
                "faults": project.faults})
        });
        let consumers = self.consumers.iter().map(|(name, consumer)| {
            json!({"consumer": name, "changes": consumer.changes, "uploads": consumer.uploads, "versions": consumer.versions})
        });
        let faults = self
            .faults
            .iter()
            .map(|(class, code, count)| json!({"class": class, "code": code, "count": count}));
        let dead = self.dead.iter().map(|(reason, dead)| {
            let first: Vec<Value> = dead
                .first
                .iter()
                .map(|(project, what)| json!({"project": project, "what": what}))
                .collect();
            json!({"reason": reason, "count": dead.count, "first": first})
        });
        json!({
            "run": self.run, "state": self.state.word(), "who": opening.map(|opening| &opening.who),
            "source": opening.map(|opening| &opening.source), "owner": opening.map(|opening| &opening.owner),
            "opened": opening.and_then(|opening| stamp(opening.at_ms)), "published": self.published_ms.and_then(stamp),
            "ended": self.last_ms.and_then(stamp), "changes": self.total, "settled": self.measures.done,
            "partial": self.partial, "projects": self.projects.len(), "outcomes": outcomes,
            "seconds": self.measures.duration_ms as f64 / 1000.0, "per_second": (self.rate() * 10.0).round() / 10.0,
            "latency": {"p50_ms": ms(500), "p90_ms": ms(900), "p95_ms": ms(950), "p99_ms": ms(990), "max_ms": ms(1_000),
                "mean_ms": self.latencies.mean(), "changes": self.latencies.count()},
            "uploads": {"count": self.uploads.len(), "changes_per_upload": self.per_upload(), "all": uploads},
            "deadline": self.deadline.map(|(at, kept)| json!({"at": stamp(at), "kept": kept.decided(), "text": kept.words()})),
            "steps": steps, "slowest_projects": projects.take(100).collect::<Vec<_>>(),
            "consumers": consumers.collect::<Vec<_>>(), "faults": faults.collect::<Vec<_>>(),
            "dead": dead.collect::<Vec<_>>(), "time_line": {"from": stamp(self.time_line.from_ms),
                "step_ms": self.time_line.step_ms, "changes": self.time_line.changes, "faults": self.time_line.faults},
            "producer_version": opening.and_then(|opening| opening.version.as_ref()),
            "shards": opening.and_then(|opening| opening.shards),
        })
    }
}

fn upload_json(upload: &Upload) -> Value {
    json!({"at": stamp(upload.at_ms), "project": upload.project, "version": upload.version, "zip_bytes": upload.zip_bytes,
        "flows": upload.flows, "upload_ms": upload.upload_ms, "changes": upload.changes, "consumer": upload.consumer})
}

fn by_kind(faults: &[FaultAt]) -> Vec<(String, String, u64)> {
    let mut kinds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for fault in faults {
        *kinds.entry((&fault.class, &fault.code)).or_default() += fault.count;
    }
    let mut kinds: Vec<_> = kinds
        .into_iter()
        .map(|((class, code), count)| (class.to_owned(), code.to_owned(), count))
        .collect();
    kinds.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
    kinds
}

/// Cuts the time from opening to the last record into points.
fn time_line(begun_ms: Option<u64>, lines: &[Line], faults: &[FaultAt]) -> TimeLine {
    let times = || lines.iter().map(|line| line.at_ms);
    let Some(last) = times().max() else {
        return TimeLine::default();
    };
    // a consumer's clock may be behind the producer's
    let first = times().min().unwrap_or(last);
    let from_ms = begun_ms.unwrap_or(first).min(first);
    let span = last - from_ms;
    let step_ms = LENGTHS
        .into_iter()
        .find(|length| span / length < POINTS)
        .unwrap_or(span / POINTS + 1);
    let points = usize::try_from(span / step_ms + 1).unwrap_or(1);
    let point = |at_ms: u64| {
        usize::try_from(at_ms.saturating_sub(from_ms) / step_ms)
            .unwrap_or(0)
            .min(points - 1)
    };
    let mut line = TimeLine {
        from_ms,
        step_ms,
        changes: vec![0; points],
        faults: vec![0; points],
    };
    for one in lines {
        line.changes[point(one.at_ms)] += one.changes;
    }
    for fault in faults {
        line.faults[point(fault.at_ms)] += fault.count;
    }
    line
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flowlift_common::ledger::{Detail, Fault, Outcomes, RunEvent, SETTLED_VERSION, Settled, UploadFacts};
    use uuid::Uuid;

    pub(in crate::report) const T0: u64 = 1_795_000_000_000;

    pub(in crate::report) fn run() -> RunId {
        RunId(Uuid::from_u128(0x0c6b_fa0d))
    }

    fn name(text: &str) -> ProjectName {
        ProjectName::new(text).unwrap()
    }

    /// A record of one result; `seconds` after opening.
    fn record(
        project: &str,
        seconds: u64,
        outcome: Outcome,
        range: (u64, u64),
        upload: Option<u32>,
    ) -> Settled {
        Settled {
            v: SETTLED_VERSION,
            project: name(project),
            consumer: if project == "a" {
                "one".into()
            } else {
                "two".into()
            },
            at_ms: T0 + seconds * 1_000,
            upload: upload.map(|version| UploadFacts {
                attempt: format!("{project}-{version}"),
                version,
                zip_bytes: 5_000,
                flows: 100,
                upload_ms: 700,
            }),
            created_project: false,
            results: vec![Outcomes {
                run: run(),
                outcome,
                note: (outcome == Outcome::Dead).then(|| "no type <script>alert(1)</script>".into()),
                ranges: vec![range],
                labels: (range.0..=range.1).map(|n| format!("flow<{n}>")).collect(),
                published_ms: T0 + 1_000,
                spread: Vec::new(),
            }],
            detail: Detail {
                version: Some("0.1.0".into()),
                waited_ms: Some(2_000),
                faults: vec![Fault {
                    class: "transient".into(),
                    code: "timed_out".into(),
                    count: 2,
                }],
                ..Detail::default()
            },
        }
    }

    pub(in crate::report) fn collected() -> Collect {
        let mut collected = Collect::new(run());
        collected.run_event(&RunEvent::Opened {
            run: run(),
            rank: 1,
            who: "me&you@host".into(),
            source: "130 <generated> flows".into(),
            owner: String::new(),
            at_ms: T0,
            deadline_ms: Some(T0 + 20_000),
            version: Some("0.1.0".into()),
            shards: Some(256),
        });
        let mut spread = record("a", 11, Outcome::Applied, (1, 100), Some(1));
        spread.results[0].spread = vec![(60, 0), (40, 5_000)];
        collected.settled(&spread);
        // the same once more, and half of it new
        collected.settled(&spread);
        collected.settled(&record("b", 31, Outcome::Applied, (91, 120), Some(1)));
        collected.settled(&record("b", 41, Outcome::Dead, (121, 130), None));
        collected.run_event(&RunEvent::Closed {
            run: run(),
            rank: 1,
            projects: [(name("a"), 100), (name("b"), 30)].into(),
            partial: false,
            at_ms: T0 + 6_000,
        });
        collected
    }

    #[test]
    fn what_comes_twice_counts_once_and_times_are_each_changes_own() {
        let figures = Figures::of(collected(), T0 + 100_000);
        assert_eq!((figures.measures.done, figures.total), (130, Some(130)));
        assert_eq!(
            [Outcome::Applied, Outcome::Dead].map(|outcome| figures.count(outcome)),
            [120, 10]
        );
        // 60 after 10 s, 40 after 5 s, 20 after 30 s
        assert_eq!(figures.latencies.count(), 120);
        let quantiles = [100, 500, 990].map(|thousandths| figures.latencies.quantile(thousandths).unwrap());
        assert_eq!(quantiles, [5_000, 10_000, 30_000]);
        assert_eq!((figures.measures.duration_ms, figures.uploads.len()), (41_000, 2));
        assert_eq!(figures.per_upload(), Some(60.0));
        assert_eq!(figures.deadline, Some((T0 + 20_000, Kept::MissedBy(21_000))));
    }

    #[test]
    fn projects_consumers_faults_and_reasons_are_ranked() {
        let figures = Figures::of(collected(), T0 + 100_000);
        let (slowest, project) = &figures.projects[0];
        assert_eq!(
            (
                slowest.as_str(),
                project.slowest_ms,
                project.dead,
                project.uploads
            ),
            ("b", 30_000, 10, 1)
        );
        let shares: Vec<(&str, u64)> = figures
            .consumers
            .iter()
            .map(|(name, part)| (name.as_str(), part.changes))
            .collect();
        assert_eq!(shares, [("one", 100), ("two", 30)]);
        assert_eq!(
            figures.faults,
            [("transient".to_owned(), "timed_out".to_owned(), 6)]
        );
        let (reason, dead) = &figures.dead[0];
        assert!(reason.contains("<script>"));
        assert_eq!(
            (dead.count, dead.first.len(), dead.first[0].1.as_str()),
            (10, 5, "flow<121>")
        );
        assert_eq!(
            (
                figures.steps[0].count,
                figures.steps[0].mean_ms(),
                figures.steps[4].mean_ms()
            ),
            (3, Some(2_000), None)
        );
    }

    #[test]
    fn the_time_line_has_every_change_and_fault_in_few_points() {
        let figures = Figures::of(collected(), T0 + 100_000);
        let line = &figures.time_line;
        assert_eq!((line.from_ms, line.step_ms), (T0, 500));
        assert!(line.changes.len() <= 120);
        assert_eq!(
            (line.changes.iter().sum::<u64>(), line.faults.iter().sum::<u64>()),
            (130, 6)
        );
        assert_eq!(
            (line.changes[22], line.changes[62], line.changes[82]),
            (100, 20, 10)
        );
        let long = |hours: u64| {
            let mut collected = Collect::new(run());
            collected.settled(&record("a", 0, Outcome::Applied, (1, 1), None));
            collected.settled(&record("a", hours * 3_600, Outcome::Applied, (2, 2), None));
            Figures::of(collected, 0).time_line.changes.len()
        };
        assert!(long(10) <= 120 && long(10_000) <= 121);
    }

    #[test]
    fn json_has_all_of_it() {
        let json = Figures::of(collected(), T0 + 100_000).to_json();
        assert_eq!(json["latency"]["p50_ms"], 10_000);
        assert_eq!(
            (&json["outcomes"]["dead"], &json["deadline"]["kept"]),
            (&10.into(), &false.into())
        );
        assert_eq!(
            (&json["producer_version"], &json["shards"]),
            (&"0.1.0".into(), &256.into())
        );
        assert_eq!(json["dead"][0]["first"][0]["what"], "flow<121>");
    }

    #[test]
    fn measures_need_no_lines() {
        let mut measuring = Collect::measuring(run());
        measuring.settled(&record("a", 11, Outcome::Applied, (1, 100), Some(1)));
        let measures = measuring.measures(0);
        assert_eq!(
            (measures.applied, measures.uploads, measures.latencies.count()),
            (100, 1, 100)
        );
        assert!(measuring.lines.is_empty());
    }

    #[test]
    fn a_run_of_which_nothing_is_settled_has_figures_too() {
        let mut collected = Collect::new(run());
        collected.run_event(&RunEvent::Opening { run: run() });
        let figures = Figures::of(collected, T0);
        assert_eq!(
            (figures.latencies.quantile(500), figures.per_upload()),
            (None, None)
        );
        assert_eq!(figures.time_line, TimeLine::default());
    }
}
