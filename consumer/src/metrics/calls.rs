//! How long Azkaban takes to answer, by call.

use std::time::Duration;

use super::{COUNTS, Metrics, observe};

/// The calls a consumer makes; whatever is not among them counts as [`OTHER`].
const CALLS: [&str; 11] = [
    "status",
    "login",
    "download",
    "upload",
    "create_project",
    "fetchprojectflows",
    "fetchJobInfo",
    "fetchProjectLogs",
    "fetchSchedules",
    "scheduleCronFlow",
    "removeSched",
];
const OTHER: &str = "other";

/// All values of the label.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    CALLS.into_iter().chain([OTHER])
}

/// The label of a call, by the name its errors tell.
fn label(call: &str) -> &'static str {
    let spoken = |known: &&str| {
        known
            .bytes()
            .eq(call.bytes().map(|byte| if byte == b' ' { b'_' } else { byte }))
    };
    CALLS.into_iter().find(spoken).unwrap_or(OTHER)
}

impl Metrics {
    /// Azkaban answered a call, or did not in this time.
    pub fn azkaban_called(&self, call: &str, took: Duration) {
        if !COUNTS {
            return;
        }
        observe(&self.azkaban_call.with_label_values(&[label(call)]), took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_by_its_name_and_an_unknown_one_is_no_new_series() {
        assert_eq!(label("create project"), "create_project");
        assert_eq!(label("upload"), "upload");
        assert_eq!(label("delete project"), OTHER);
    }
}
