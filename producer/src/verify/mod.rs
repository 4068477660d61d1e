//! Compares what should be in Azkaban with what is there: pure comparisons of what was read.

pub mod run;
pub mod source;

use std::collections::BTreeMap;
use std::fmt;

use flowlift_azkaban::client::Schedule;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{FlowName, ProjectName};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The project.
    pub project: ProjectName,
    /// The flow, `file x`, or empty for the project itself.
    pub what: String,
    /// A clause.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what.as_str() {
            "" => write!(f, "{}: {}", self.project, self.text),
            what => write!(f, "{}: {what}: {}", self.project, self.text),
        }
    }
}

/// Azkaban's schedules by project and flow, case ignored.
#[derive(Debug, Clone, Default)]
pub struct Schedules(BTreeMap<(String, String), String>);

impl Schedules {
    /// Of Azkaban's list.
    #[must_use]
    pub fn of(list: Vec<Schedule>) -> Self {
        Self(
            list.into_iter()
                .map(|one| ((fold(&one.project), fold(&one.flow)), one.cron))
                .collect(),
        )
    }

    /// The cron expression of a flow.
    #[must_use]
    pub fn cron(&self, project: &ProjectName, flow: &FlowName) -> Option<&str> {
        self.0.get(&(project.key(), flow.key())).map(String::as_str)
    }
}

/// What differs between the schedule there and the one wanted (none: no schedule).
fn schedule_differs(there: Option<&str>, wanted: Option<&str>) -> Option<String> {
    match (there, wanted) {
        (Some(there), Some(wanted)) if there != wanted => {
            Some(format!("its schedule is {there:?}, expected {wanted:?}"))
        }
        (None, Some(wanted)) => Some(format!("it has no schedule, expected {wanted:?}")),
        (Some(there), None) => Some(format!("its schedule is {there:?}, expected none")),
        _ => None,
    }
}
