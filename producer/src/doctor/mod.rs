//! `flowlift doctor`: everything that has to be right before a night's run, looked at one by one, and for whatever is not, what
//! to do about it. Examinations ask; what their answers mean is decided by functions without I/O.

pub mod azkaban;
pub mod broker;
mod words;

pub use words::{json, words};

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works; somebody should know.
    Hint,
    /// Runs fail or stand still with this.
    Bad,
}

impl Verdict {
    /// For people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Hint => "hint",
            Self::Bad => "bad",
        }
    }
}

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do, where something is to be done.
    pub advice: Option<String>,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn good(what: &'static str, seen: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Good,
            seen: seen.into(),
            advice: None,
        }
    }

    /// Worth knowing.
    #[must_use]
    pub fn hint(what: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Hint,
            advice: Some(advice.into()),
            ..Self::good(what, seen)
        }
    }

    /// Has to be mended.
    #[must_use]
    pub fn bad(what: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Bad,
            ..Self::hint(what, seen, advice)
        }
    }
}

/// All findings about one of the two services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// `RabbitMQ` or `Azkaban`.
    pub about: &'static str,
    /// In the order they were found.
    pub findings: Vec<Finding>,
}

/// The worst of all findings.
#[must_use]
pub fn worst(chapters: &[Chapter]) -> Verdict {
    let findings = chapters.iter().flat_map(|chapter| &chapter.findings);
    findings
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Good)
}

#[cfg(test)]
mod tests;
