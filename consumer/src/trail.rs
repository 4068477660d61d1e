//! What a batch went through, for a trace: which steps took how long, what became of it, which publishings it goes back to.
//!
//! Pure: it hears what the heart hears and sees what the heart wants done, with the time; when the batch has ended, out comes
//! the span. Where nobody wants traces there is no trail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flowlift_azkaban::ProjectName;
use flowlift_common::ledger::Outcome;
use flowlift_common::trace::{Kind, Span, TraceContext};

use crate::project::{Action, Doubtful, Event, Landing, Settlement, Trouble, UploadTrouble};

/// So many other publishings are linked; how many more there were is told.
const LINKS: usize = 128;
/// So many steps are told, the last ones: an Azkaban that is away for a night makes many.
const STEPS: usize = 64;
/// So many characters of what went wrong: many spans may wait for a collector that is away.
const WORDS: usize = 300;

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// When it was published, by the producer's clock, ms since 1970.
    pub published_ms: Option<u64>,
}

/// What was sent to Azkaban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the zip.
    pub zip_bytes: u64,
    /// Flows in it.
    pub flows: u64,
    /// Its number in the project, where Azkaban told it.
    pub version: Option<u32>,
}

/// What became of the uploads of a batch: the words of `flowlift_consumer_uploads_total`, and those for a batch without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Landed,
    Refused,
    Doubtful,
    Failed,
    /// None was needed.
    Unneeded,
    /// The messages were set aside.
    Parked,
}

impl Became {
    fn as_str(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::Refused => "refused",
            Self::Doubtful => "doubtful",
            Self::Failed => "failed",
            Self::Unneeded => "unneeded",
            Self::Parked => "parked",
        }
    }

    fn is_good(self) -> bool {
        matches!(self, Self::Landed | Self::Unneeded)
    }
}

/// The trail of a project's present batch.
#[derive(Debug)]
pub struct Trail {
    project: ProjectName,
    consumer: String,
    batch: Option<Batch>,
}

#[derive(Debug, Default)]
struct Batch {
    begun_us: u64,
    /// The step under way, and since when.
    step: Option<(&'static str, Kind, u64)>,
    steps: VecDeque<Span>,
    steps_left_out: u64,
    messages: BTreeSet<u64>,
    /// In the order the messages came, each once.
    traces: Vec<TraceContext>,
    published_ms: Option<u64>,
    uploads: u64,
    sent: Option<Sent>,
    became: Option<Became>,
    outcomes: BTreeMap<&'static str, u64>,
    changes: Option<u64>,
    /// In words, what went wrong last.
    wrong: Option<String>,
    /// Why changes died.
    dead: Option<String>,
}

impl Trail {
    /// Of a project at which nothing is done.
    #[must_use]
    pub fn new(project: ProjectName, consumer: String) -> Self {
        Self {
            project,
            consumer,
            batch: None,
        }
    }

    /// What the heart wants done now; `told` knows the messages in hand.
    pub fn asked(&mut self, actions: &[Action], now_us: u64, told: impl Fn(u64) -> Option<Told>) {
        let parks = |action: &Action| matches!(action, Action::Park(_));
        if actions.contains(&Action::Forget) && !actions.iter().any(parks) {
            // all was told, or it was given up: who gets the messages next tells of them
            self.batch = None;
        }
        for action in actions {
            if begins(action) && self.batch.is_none() {
                self.batch = Some(Batch {
                    begun_us: now_us,
                    ..Batch::default()
                });
            }
            let Some(batch) = &mut self.batch else {
                continue;
            };
            match action {
                Action::Plan(ask) => batch.holds(&ask.receipts, &told),
                Action::Park(receipts) => batch.holds(receipts, &told),
                Action::Upload => batch.uploads += 1,
                Action::EndAttempt(Doubtful::Own, landing) => batch.decided(*landing),
                Action::Settle(settlement) => batch.settles(settlement),
                _ => {}
            }
            if let Some((name, kind)) = step(action) {
                batch.step = Some((name, kind, now_us));
            }
        }
    }

    /// What the heart hears; `sent` is what was sent, where this answers an upload. The span, when this ends the batch.
    pub fn heard(&mut self, event: &Event, sent: Option<Sent>, now_us: u64) -> Option<Span> {
        let batch = self.batch.as_mut()?;
        if matches!(
            event,
            Event::Arrived(_) | Event::Timer | Event::Drain | Event::Hold(_)
        ) {
            return None;
        }
        let wrong = wrong(event);
        if let Some((name, kind, since_us)) = batch.step.take() {
            batch.took(Span {
                kind,
                error: wrong.clone(),
                ..Span::new(name, since_us, now_us)
            });
        }
        if wrong.is_some() {
            batch.wrong = wrong;
        }
        match event {
            Event::Uploaded(answer) => {
                batch.sent = sent.or(batch.sent);
                batch.became = Some(match answer {
                    Ok(_) => Became::Landed,
                    Err(UploadTrouble::Refused(_)) => Became::Refused,
                    Err(UploadTrouble::InDoubt(_) | UploadTrouble::Stumbled(_)) => Became::Doubtful,
                    Err(UploadTrouble::Not(_)) => Became::Failed,
                });
            }
            Event::Parked => batch.became = Some(Became::Parked),
            _ => {}
        }
        if !matches!(event, Event::Settled | Event::Parked) {
            return None;
        }
        self.batch.take()?.span(&self.project, &self.consumer, now_us)
    }
}

impl Batch {
    fn holds(&mut self, receipts: &[u64], told: &impl Fn(u64) -> Option<Told>) {
        for receipt in receipts {
            if !self.messages.insert(*receipt) {
                continue;
            }
            let Some(told) = told(*receipt) else {
                continue;
            };
            self.published_ms = [self.published_ms, told.published_ms].into_iter().flatten().min();
            self.traces.extend(told.trace);
        }
    }

    /// A doubtful upload has been looked for.
    fn decided(&mut self, landing: Landing) {
        if self.became == Some(Became::Doubtful) {
            self.became = match landing {
                Landing::Landed => Some(Became::Landed),
                Landing::NotSeen => Some(Became::Doubtful),
                Landing::Impossible => Some(Became::Failed),
            };
        }
    }

    fn settles(&mut self, settlement: &Settlement) {
        for (_, last) in &settlement.changes {
            *self.outcomes.entry(attribute(last.outcome)).or_default() += 1;
            if last.outcome == Outcome::Dead && self.dead.is_none() {
                self.dead = Some(last.note.as_deref().map(cut).unwrap_or_default());
            }
        }
        if let Some((_, reason)) = settlement.unreadable.first() {
            self.dead.get_or_insert_with(|| cut(reason));
        }
        self.changes = Some(settlement.changes.len() as u64);
    }

    fn took(&mut self, step: Span) {
        if self.steps.len() == STEPS {
            self.steps.pop_front();
            self.steps_left_out += 1;
        }
        self.steps.push_back(step);
    }

    /// `None` where whoever began the traces does not want them recorded.
    fn span(self, project: &ProjectName, consumer: &str, now_us: u64) -> Option<Span> {
        let mut seen = BTreeSet::new();
        let traces: Vec<TraceContext> = self
            .traces
            .into_iter()
            .filter(|trace| seen.insert(*trace))
            .collect();
        let parent = traces.iter().find(|trace| trace.is_sampled()).copied();
        if parent.is_none() && !traces.is_empty() {
            return None;
        }
        let others: Vec<TraceContext> = traces
            .into_iter()
            .filter(|trace| Some(*trace) != parent)
            .collect();
        let became = self.became.unwrap_or(Became::Unneeded);
        let name = match became {
            _ if self.uploads > 0 => "upload",
            Became::Parked => "park",
            _ => "settle",
        };
        let mut span = Span {
            kind: Kind::Consumer,
            parent,
            children: self.steps.into(),
            ..Span::new(name, self.begun_us, now_us)
        };
        span = span
            .with("flowlift.project", project.to_string())
            .with("flowlift.consumer", consumer)
            .with("flowlift.result", became.as_str())
            .with("flowlift.uploads", self.uploads)
            .with("flowlift.messages", self.messages.len() as u64);
        if let Some(published_ms) = self.published_ms {
            // a producer's clock may be ahead of ours: such a message has not waited at all
            let waited = (self.begun_us / 1_000).saturating_sub(published_ms);
            span = span.with("flowlift.waited_ms", waited);
        }
        if let Some(changes) = self.changes {
            span = span.with("flowlift.changes", changes);
        }
        for (outcome, count) in self.outcomes {
            span = span.with(outcome, count);
        }
        if let Some(sent) = self.sent {
            span = span
                .with("flowlift.zip_bytes", sent.zip_bytes)
                .with("flowlift.flows", sent.flows);
            if let Some(version) = sent.version {
                span = span.with("flowlift.version", u64::from(version));
            }
        }
        if self.steps_left_out > 0 {
            span = span.with("flowlift.steps_left_out", self.steps_left_out);
        }
        if others.len() > LINKS {
            span = span.with("flowlift.links_left_out", (others.len() - LINKS) as u64);
        }
        span.links = others.into_iter().take(LINKS).collect();
        span.error = match (became.is_good(), self.dead) {
            (false, _) => Some(self.wrong.unwrap_or_else(|| became.as_str().to_owned())),
            (true, dead) => dead,
        };
        Some(span)
    }
}

/// Whether an action is the first of a batch.
fn begins(action: &Action) -> bool {
    matches!(
        action,
        Action::WantPermit | Action::AskOpenAttempts | Action::ReadBase | Action::Park(_)
    )
}

/// What an action is called in a trace, and whose work it is; the others take no time that anybody waits for.
fn step(action: &Action) -> Option<(&'static str, Kind)> {
    Some(match action {
        Action::WantPermit => ("wait for a connection", Kind::Internal),
        Action::AskOpenAttempts => ("look for open uploads", Kind::Internal),
        Action::ReadBase => ("read base", Kind::Client),
        Action::Make => ("create project", Kind::Client),
        Action::Plan(_) => ("plan and pack", Kind::Internal),
        Action::Announce => ("announce", Kind::Internal),
        Action::Upload => ("send zip", Kind::Client),
        Action::Look(_) => ("look for the upload", Kind::Client),
        Action::List => ("read back", Kind::Client),
        Action::Schedule => ("schedule", Kind::Client),
        Action::Settle(_) => ("settle", Kind::Internal),
        Action::Park(_) => ("park", Kind::Internal),
        _ => return None,
    })
}

/// What went wrong in a step, in words.
fn wrong(event: &Event) -> Option<String> {
    let trouble = |trouble: &Trouble| match trouble {
        Trouble::Away(text) | Trouble::Later(text) | Trouble::Own(text) => Some(text.clone()),
        Trouble::ProjectMissing => Some("the project is not there".to_owned()),
    };
    let text = match event {
        // it will be made
        Event::Base(Err(Trouble::ProjectMissing)) => None,
        Event::Base(Err(wrong))
        | Event::Made(Err(wrong))
        | Event::Looked(Err(wrong))
        | Event::Listed(Err(wrong))
        | Event::Scheduled(Err(wrong))
        | Event::Uploaded(Err(UploadTrouble::Not(wrong))) => trouble(wrong),
        Event::Uploaded(Err(UploadTrouble::Refused(refusal) | UploadTrouble::Stumbled(refusal))) => {
            Some(refusal.text.clone())
        }
        Event::Uploaded(Err(UploadTrouble::InDoubt(text))) => Some(text.clone()),
        Event::Listed(Ok(Err(difference))) => Some(difference.clone()),
        Event::Planned(planned) => planned.forbidden.clone(),
        _ => None,
    };
    text.map(|text| cut(&text))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WORDS {
        return text.to_owned();
    }
    text.chars().take(WORDS - 1).chain(['…']).collect()
}

fn attribute(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "flowlift.applied",
        Outcome::Restored => "flowlift.restored",
        Outcome::Unchanged => "flowlift.unchanged",
        Outcome::Superseded => "flowlift.superseded",
        Outcome::Cancelled => "flowlift.cancelled",
        Outcome::Dead => "flowlift.dead",
    }
}

#[cfg(test)]
mod tests;
