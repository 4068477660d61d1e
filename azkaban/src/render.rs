//! A flow written as files, in either format.

use bytes::Bytes;

use crate::model::{Flow, Format};
use crate::rules::{self, Finding};
use crate::{flow1, flow2};

/// A flow that cannot be written in a format: Azkaban would refuse it, or list something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("flow {flow:?} cannot be written in Flow {format}: {}", rules::join(.findings))]
pub struct Unrenderable {
    /// The flow's name.
    pub flow: String,
    /// The format asked for.
    pub format: Format,
    /// All reasons, at least one.
    pub findings: Vec<Finding>,
}

/// The files of a flow: path and content. The same flow gives the same bytes.
///
/// Flow 2.0 is one file `<flow>.flow`; the project also needs [`crate::PROJECT_FILE`]. Flow 1.0 is one file per job,
/// flat: `<flow>.job` is the one job that no other needs, whatever its name, and each other job is `<flow>~<job>.job`, so
/// that jobs of two flows never meet; where several jobs are needed by no other, `<flow>.job` is a `noop` behind them. The
/// flow's properties are written into each job there, under the job's own.
///
/// Refuses every flow in which [`rules::check_flow`] finds something, so nothing is written that Azkaban would not take.
pub fn render(flow: &Flow, format: Format) -> Result<Vec<(String, Bytes)>, Unrenderable> {
    let findings = rules::check_flow(flow, format);
    if !findings.is_empty() {
        return Err(Unrenderable {
            flow: flow.name.to_string(),
            format,
            findings,
        });
    }
    Ok(match format {
        Format::V1 => flow1::files(flow),
        Format::V2 => vec![flow2::file(flow)],
    })
}
