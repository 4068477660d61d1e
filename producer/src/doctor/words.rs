//! The findings for people and programs.

use serde_json::{Value, json as value};

use super::{Chapter, Verdict, worst};

/// A line for each finding, what to do below it.
#[must_use]
pub fn words(chapters: &[Chapter]) -> String {
    let mut text = String::new();
    for chapter in chapters {
        text += &format!("{}\n", chapter.about);
        for finding in &chapter.findings {
            let mark = finding.verdict.word();
            text += &format!("  {mark:<5} {:<12} {}\n", finding.what, finding.seen);
            if let Some(advice) = &finding.advice {
                text += &format!("{:21}-> {advice}\n", "");
            }
        }
    }
    text
}

/// The same for programs.
#[must_use]
pub fn json(chapters: &[Chapter]) -> Value {
    let findings = chapters.iter().flat_map(|chapter| {
        chapter.findings.iter().map(|finding| {
            value!({"about": chapter.about, "what": finding.what, "verdict": finding.verdict.word(), "seen": finding.seen,
                "advice": finding.advice})
        })
    });
    value!({"healthy": worst(chapters) < Verdict::Bad, "findings": findings.collect::<Vec<_>>()})
}
