//! What a person reads in the log about projects.

use std::collections::BTreeMap;

use flowlift_azkaban::ProjectName;
use flowlift_common::ledger::UploadFacts;

use crate::project::{LogLine, Settlement};

pub(super) fn tell(project: &ProjectName, settlement: &Settlement, upload: Option<&UploadFacts>) {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (_, last) in &settlement.changes {
        *counts.entry(last.outcome.as_str()).or_default() += 1;
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let text = words.join(", ");
    match upload.filter(|_| settlement.uploaded) {
        Some(upload) => tracing::info!(
            %project, version = upload.version, flows = upload.flows, upload_ms = upload.upload_ms,
            "settled {text} with one upload"
        ),
        None if settlement.changes.is_empty() => {}
        None => tracing::info!(%project, "settled {text} without an upload"),
    }
    for (_, reason) in &settlement.unreadable {
        tracing::warn!(%project, "a message went to the dead letters: {reason}");
    }
}

pub(super) fn say(project: &ProjectName, line: &LogLine) {
    match line {
        LogLine::Trouble { step, text, retry_in } => {
            tracing::warn!(%project, step, "could not {step}: {text}; next try in {:.1} s", retry_in.as_secs_f64());
        }
        LogLine::Fenced { open, at_most } => {
            let seconds = at_most.as_secs();
            tracing::warn!(%project, "{open} upload(s) of a former holder may still land; waiting at most {seconds} s");
        }
        LogLine::Doubt { text, at_most } => {
            let seconds = at_most.as_secs();
            tracing::warn!(%project, "the upload is in doubt ({text}); looking for it at most {seconds} s");
        }
        LogLine::Searching { suspects, text } => {
            tracing::warn!(%project, suspects, "Azkaban refuses the batch ({text}); looking for the culprit");
        }
        LogLine::Overtook => {
            tracing::info!(%project, "a version number lies between the base and our upload: a failed install, or somebody's upload; looking");
        }
        LogLine::Parked { text, messages } => {
            tracing::error!(%project, messages, "parked, tried again from time to time: {text}");
        }
        LogLine::Mismatch { text } => {
            tracing::warn!(%project, "Azkaban does not list what was uploaded: {text}");
        }
    }
}
