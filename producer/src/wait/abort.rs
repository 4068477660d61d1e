//! Ends a run whose threshold cannot hold any more.

use flowlift_common::config::Settings;
use flowlift_common::order::RunId;

use crate::reporter::Reporter;

/// Asked by `--abort-on-fail`, once, when waiting has ended because a threshold is lost.
///
/// This is the one place where waiting reaches for the rest of the run: whoever can cancel runs is called here, with the
/// settings waiting itself used. What is not cancelled goes on, and people are told so.
pub async fn cancel(_settings: &Settings, run: RunId, reporter: &Reporter) {
    reporter.warn(&format!(
        "a threshold cannot hold any more; the run goes on, `flowlift wait {run}` follows it"
    ));
}
