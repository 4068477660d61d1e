//! Thresholds: `p99<60s,dead=0`. What is asked, and whether it holds or still can. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::latency::Latencies;
use crate::words::{span, thousands};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The latency below which so many thousandths of the changes are; 1,000: the longest.
    Latency(u16),
    /// From opening the run to its last outcome.
    Duration,
    /// Changes that could not be applied.
    Dead,
    /// Changes that were applied.
    Applied,
    /// Changes that were there already.
    Unchanged,
    /// Changes that newer ones overtook.
    Superseded,
    /// Changes of a cancelled run.
    Cancelled,
    /// Changes that were brought back.
    Restored,
    /// Uploads.
    Uploads,
    /// Changes per second.
    Rate,
}

/// The names in expressions, and what they mean.
const NAMES: [(&str, Metric); 14] = [
    ("p50", Metric::Latency(500)),
    ("p90", Metric::Latency(900)),
    ("p95", Metric::Latency(950)),
    ("p99", Metric::Latency(990)),
    ("max", Metric::Latency(1_000)),
    ("duration", Metric::Duration),
    ("dead", Metric::Dead),
    ("applied", Metric::Applied),
    ("unchanged", Metric::Unchanged),
    ("superseded", Metric::Superseded),
    ("cancelled", Metric::Cancelled),
    ("restored", Metric::Restored),
    ("uploads", Metric::Uploads),
    ("rate", Metric::Rate),
];

/// How it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// The longer ones first: `<=` begins with `<`.
const OPERATORS: [(&str, Operator); 5] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
    ("=", Operator::Equal),
];

impl Operator {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::AtMost => value <= limit,
            Self::Equal => (value - limit).abs() < 1e-9,
            Self::AtLeast => value >= limit,
            Self::More => value > limit,
        }
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    text: String,
    metric: Metric,
    operator: Operator,
    /// In ms for times.
    limit: f64,
}

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds(Vec<Condition>);

/// What is compared with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    /// From publishing to applied.
    pub latencies: Latencies,
    /// From opening to the last outcome, or to now.
    pub duration_ms: u64,
    /// Settled changes.
    pub done: u64,
    /// Changes of the run; `None`: not known yet.
    pub total: Option<u64>,
    /// By outcome.
    pub dead: u64,
    /// By outcome.
    pub applied: u64,
    /// By outcome.
    pub unchanged: u64,
    /// By outcome.
    pub superseded: u64,
    /// By outcome.
    pub cancelled: u64,
    /// By outcome.
    pub restored: u64,
    /// Uploads.
    pub uploads: u64,
}

impl Metric {
    fn is_time(self) -> bool {
        matches!(self, Self::Latency(_) | Self::Duration)
    }

    /// Its value; `None`: there is none, for nothing was applied.
    fn of(self, measures: &Measures) -> Option<f64> {
        let count = |n: u64| Some(n as f64);
        match self {
            Self::Latency(thousandths) => measures.latencies.quantile(thousandths).map(|ms| ms as f64),
            Self::Duration => count(measures.duration_ms),
            Self::Dead => count(measures.dead),
            Self::Applied => count(measures.applied),
            Self::Unchanged => count(measures.unchanged),
            Self::Superseded => count(measures.superseded),
            Self::Cancelled => count(measures.cancelled),
            Self::Restored => count(measures.restored),
            Self::Uploads => count(measures.uploads),
            Self::Rate => Some(measures.done as f64 * 1000.0 / measures.duration_ms.max(1) as f64),
        }
    }

    fn words(self, value: f64) -> String {
        if self.is_time() {
            span(Duration::from_secs_f64(value / 1000.0))
        } else if self == Self::Rate {
            format!("{value:.1} changes a second")
        } else {
            thousands(value as u64)
        }
    }
}

impl Condition {
    fn broken(&self, measures: &Measures) -> Option<String> {
        let Some(value) = self.metric.of(measures) else {
            return Some(format!(
                "threshold {} cannot be judged: no change was applied",
                self.text
            ));
        };
        let holds = self.operator.holds(value, self.limit);
        (!holds).then(|| {
            format!(
                "threshold {} is broken: it is {}",
                self.text,
                self.metric.words(value)
            )
        })
    }

    /// Whether no outcome of what is left can make it hold.
    fn is_lost(&self, measures: &Measures) -> bool {
        let left = measures.total.map(|total| total.saturating_sub(measures.done));
        let upper = matches!(self.operator, Operator::Less | Operator::AtMost | Operator::Equal);
        let lower = matches!(
            self.operator,
            Operator::More | Operator::AtLeast | Operator::Equal
        );
        match self.metric {
            // may rise and fall
            Metric::Rate => false,
            Metric::Latency(thousandths) => {
                // at best all that is left takes no time; how much is left has to be known for that, except for the longest
                let left = if thousandths == 1_000 { Some(0) } else { left };
                let best = left.and_then(|left| measures.latencies.with_instant(left).quantile(thousandths));
                upper && best.is_some_and(|best| !self.can_shrink_to(best as f64))
            }
            metric => {
                let Some(value) = metric.of(measures) else {
                    return false;
                };
                let reachable = left.map(|left| value + left as f64);
                let too_much = upper && !self.can_shrink_to(value);
                let counted = !matches!(metric, Metric::Duration | Metric::Uploads);
                let too_few = lower && counted && reachable.is_some_and(|most| !self.can_grow_to(most));
                too_much || too_few
            }
        }
    }

    /// Whether a value that can only grow from here may still hold.
    fn can_shrink_to(&self, value: f64) -> bool {
        match self.operator {
            Operator::Less => value < self.limit,
            _ => value <= self.limit,
        }
    }

    /// Whether a value that grows up to here at most may hold.
    fn can_grow_to(&self, most: f64) -> bool {
        match self.operator {
            Operator::More => most > self.limit,
            _ => most >= self.limit,
        }
    }
}

impl Thresholds {
    /// A sentence for each that does not hold.
    #[must_use]
    pub fn broken(&self, measures: &Measures) -> Vec<String> {
        self.0.iter().filter_map(|one| one.broken(measures)).collect()
    }

    /// A sentence for each that cannot hold any more, whatever becomes of what is left.
    #[must_use]
    pub fn lost(&self, measures: &Measures) -> Vec<String> {
        let lost = self.0.iter().filter(|one| one.is_lost(measures));
        lost.filter_map(|one| one.broken(measures)).collect()
    }
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.0.iter().map(|one| one.text.as_str()).collect();
        f.write_str(&texts.join(", "))
    }
}

impl FromStr for Thresholds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let conditions: Result<Vec<Condition>, String> =
            text.split(',').map(|part| condition(part.trim())).collect();
        conditions.map(Self)
    }
}

fn condition(text: &str) -> Result<Condition, String> {
    if text.is_empty() {
        return Err("expected conditions such as p99<60s,dead=0".into());
    }
    let found = text.find(['<', '>', '=']).map(|at| text.split_at(at));
    let Some((name, rest)) = found else {
        return Err(format!(
            "{text:?} compares nothing: expected one of < <= = >= >, as in p99<60s"
        ));
    };
    let name = name.trim();
    let Some((_, metric)) = NAMES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "{name:?} is no metric: expected one of {}",
            known.join(" ")
        ));
    };
    let (limit, operator) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, *operator)))
        .ok_or_else(|| format!("{text:?} compares nothing: expected one of < <= = >= >"))?;
    let limit = limit.trim();
    let number = if metric.is_time() {
        time(limit).ok_or_else(|| {
            format!("{limit:?} is no time for {name}: expected one such as 250ms, 60s, 5m or 2h")
        })?
    } else {
        let number = limit
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| format!("{limit:?} is no number for {name}: expected one such as 0 or 1000"))?
    };
    Ok(Condition {
        text: text.to_owned(),
        metric: *metric,
        operator,
        limit: number,
    })
}

/// A time in ms; a number without a unit is none.
fn time(text: &str) -> Option<f64> {
    let units = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0), ("h", 3_600_000.0)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let number = number.trim().parse::<f64>().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures() -> Measures {
        let mut latencies = Latencies::default();
        latencies.add(1_000, 98);
        latencies.add(70_000, 2);
        Measures {
            latencies,
            duration_ms: 50_000,
            done: 101,
            total: Some(101),
            dead: 1,
            applied: 100,
            uploads: 4,
            ..Measures::default()
        }
    }

    fn broken(text: &str) -> Vec<String> {
        text.parse::<Thresholds>().unwrap().broken(&measures())
    }

    fn lost(text: &str, total: Option<u64>) -> bool {
        let measures = Measures { total, ..measures() };
        !text.parse::<Thresholds>().unwrap().lost(&measures).is_empty()
    }

    #[test]
    fn each_operator_and_metric_is_compared() {
        assert_eq!(
            broken("p50<=1s, p90<2s,max=70s,dead<2,applied>=100,rate>2,duration<1m,uploads=4,cancelled=0"),
            [""; 0]
        );
        assert_eq!(
            broken("p99<60s,dead=0,rate>100"),
            [
                "threshold p99<60s is broken: it is 1 min 10 s",
                "threshold dead=0 is broken: it is 1",
                "threshold rate>100 is broken: it is 2.0 changes a second",
            ]
        );
    }

    #[test]
    fn a_latency_of_nothing_cannot_be_judged() {
        let thresholds: Thresholds = "p99<60s".parse().unwrap();
        assert_eq!(
            thresholds.broken(&Measures::default()),
            ["threshold p99<60s cannot be judged: no change was applied"]
        );
    }

    #[test]
    fn a_bad_expression_is_told_in_one_sentence() {
        let told = |text: &str| text.parse::<Thresholds>().unwrap_err();
        assert_eq!(told(""), "expected conditions such as p99<60s,dead=0");
        assert_eq!(
            told("p99"),
            "\"p99\" compares nothing: expected one of < <= = >= >, as in p99<60s"
        );
        assert!(
            told("p98<1s")
                .starts_with("\"p98\" is no metric: expected one of p50 p90 p95 p99 max duration dead")
        );
        assert_eq!(
            told("p99<60"),
            "\"60\" is no time for p99: expected one such as 250ms, 60s, 5m or 2h"
        );
        assert_eq!(
            told("dead==0"),
            "\"=0\" is no number for dead: expected one such as 0 or 1000"
        );
        assert_eq!(
            told("dead=-1"),
            "\"-1\" is no number for dead: expected one such as 0 or 1000"
        );
    }

    #[test]
    fn what_can_only_grow_is_lost_once_it_is_too_much() {
        assert!(lost("dead=0", None) && lost("dead<1", None) && !lost("dead<=1", None));
        assert!(lost("duration<50s", None) && !lost("duration<51s", None));
        assert!(lost("max<60s", None) && !lost("max<80s", None));
        assert!(!lost("rate>100", Some(200)));
    }

    #[test]
    fn a_percentile_is_lost_when_all_that_is_left_cannot_save_it() {
        assert!(!lost("p99<60s", None), "how much is left is not known");
        assert!(lost("p99<60s", Some(111)), "two slow ones of 110");
        assert!(!lost("p99<60s", Some(1_000)));
    }

    #[test]
    fn a_count_that_cannot_be_reached_is_lost() {
        assert!(lost("applied>=200", Some(150)) && !lost("applied>=149", Some(150)));
        assert!(lost("applied>149", Some(150)) && !lost("applied>=200", None));
    }
}
