//! Tells a person or a program how far a command is: a bar on a terminal, a line every few seconds elsewhere, JSON on
//! request, nothing with `--quiet`. All of it goes to standard error; standard output is for results.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::words::{span, thousands};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two JSON events.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A bar.
    Bar,
    /// Lines for people.
    Lines,
    /// A JSON object a line.
    Json,
    /// Nothing but problems.
    Quiet,
}

/// Says things on standard error.
#[derive(Debug, Clone)]
pub struct Reporter {
    style: Style,
    bars: MultiProgress,
}

impl Reporter {
    /// Chooses how to show progress.
    #[must_use]
    pub fn new(json: bool, quiet: bool) -> Self {
        let style = match (json, quiet) {
            (_, true) => Style::Quiet,
            (true, _) => Style::Json,
            _ if io::stderr().is_terminal() => Style::Bar,
            _ => Style::Lines,
        };
        Self {
            style,
            bars: MultiProgress::new(),
        }
    }

    /// A remark.
    pub fn say(&self, text: &str) {
        match self.style {
            Style::Quiet => {}
            Style::Json => self.line(&json!({"event": "note", "text": text}).to_string()),
            Style::Bar | Style::Lines => self.line(text),
        }
    }

    /// Something the person should know even with `--quiet`.
    pub fn warn(&self, text: &str) {
        match self.style {
            Style::Json => self.line(&json!({"event": "warning", "text": text}).to_string()),
            _ => self.line(text),
        }
    }

    /// A result on standard output; the bar makes room for it.
    pub fn result(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut out = anstream::stdout();
            writeln!(out, "{text}")?;
            out.flush()
        })
    }

    fn line(&self, text: &str) {
        // nothing can be done about a standard error that is gone
        let _ = self.bars.suspend(|| writeln!(anstream::stderr(), "{text}"));
    }

    /// Begins a stretch of work that counts up to `total`.
    #[must_use]
    pub fn stage(&self, verb: &'static str, noun: &'static str, total: Option<u64>) -> Stage {
        let bar = match self.style {
            Style::Bar => self.bars.add(ProgressBar::new(total.unwrap_or(0))),
            _ => ProgressBar::hidden(),
        };
        bar.set_prefix(verb);
        bar.set_style(style(total.is_some()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let now = Instant::now();
        Stage {
            reporter: self.clone(),
            verb,
            noun,
            bar,
            state: Arc::new(Mutex::new(State {
                done: 0,
                total,
                began: None,
                said: now,
                note: String::new(),
            })),
        }
    }
}

fn style(known: bool) -> ProgressStyle {
    let text = if known {
        "{prefix:>9} [{bar:30}] {human_pos}/{human_len} {msg}· {rate} · {eta} left"
    } else {
        "{prefix:>9} {spinner} {human_pos} {msg}· {rate} · {elapsed}"
    };
    // the template is a constant: a wrong one falls back to a plain bar
    ProgressStyle::with_template(text)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{}/s", thousands(state.per_sec() as u64));
        })
        .progress_chars("=> ")
}

/// A stretch of work.
#[derive(Debug, Clone)]
pub struct Stage {
    reporter: Reporter,
    verb: &'static str,
    noun: &'static str,
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    done: u64,
    total: Option<u64>,
    /// With the first count: what comes before says nothing about the rate.
    began: Option<Instant>,
    said: Instant,
    /// What else there is to say; empty: nothing.
    note: String,
}

impl Stage {
    /// How far it is.
    pub fn set(&self, done: u64, total: Option<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if total.is_some() && state.total != total {
            self.bar.set_length(total.unwrap_or_default());
            self.bar.set_style(style(true));
            state.total = total;
        }
        if state.began.is_none() {
            (state.began, state.said) = (Some(Instant::now()), Instant::now());
        }
        state.done = done;
        self.bar.set_position(done);
        let every = match self.reporter.style {
            Style::Lines => LINE_EVERY,
            Style::Json => EVENT_EVERY,
            Style::Bar | Style::Quiet => return,
        };
        if state.said.elapsed() < every {
            return;
        }
        state.said = Instant::now();
        let text = match self.reporter.style {
            Style::Json => event(self.verb, &state),
            _ => sentence(self.verb, self.noun, &state),
        };
        drop(state);
        self.reporter.line(&text);
    }

    /// A few more are done.
    pub fn add(&self, more: u64) {
        let (done, total) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.done + more, state.total)
        };
        self.set(done, total);
    }

    /// A word beside the bar.
    pub fn note(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// A remark behind each line of progress; the bar shows what [`Self::note`] was given.
    pub fn remark(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.note != text {
            text.clone_into(&mut state.note);
        }
    }

    /// Ends it; the bar goes away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

fn rate(state: &State) -> f64 {
    let time = state.began.map_or(Duration::ZERO, |began| began.elapsed());
    state.done as f64 / time.as_secs_f64().max(0.001)
}

fn left(state: &State) -> Option<Duration> {
    let (total, rate) = (state.total?, rate(state));
    (rate > 0.0).then(|| Duration::from_secs_f64((total.saturating_sub(state.done) as f64 / rate).min(1e7)))
}

fn sentence(verb: &str, noun: &str, state: &State) -> String {
    let of = state
        .total
        .map_or_else(String::new, |total| format!(" of {}", thousands(total)));
    let left = left(state).map_or_else(String::new, |left| format!(", about {} left", span(left)));
    let done = thousands(state.done);
    if state.done == 0 {
        return format!("{verb} {done}{of} {noun}");
    }
    let note = if state.note.is_empty() {
        String::new()
    } else {
        format!("; {}", state.note)
    };
    format!("{verb} {done}{of} {noun}, {:.0}/s{left}{note}", rate(state))
}

fn event(verb: &str, state: &State) -> String {
    let left = left(state).map(|left| left.as_secs());
    json!({"event": "progress", "stage": verb, "done": state.done, "total": state.total,
        "per_second": rate(state).round(), "left_seconds": left, "note": Some(&state.note).filter(|note| !note.is_empty())})
    .to_string()
}

/// Lets log lines through above the bar.
impl<'a> MakeWriter<'a> for Reporter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Reporter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let began = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let mut state = State {
            done: 4_000,
            total: Some(10_000),
            began: Some(began),
            said: began,
            note: String::new(),
        };
        assert_eq!(
            sentence("queued", "changes", &state),
            "queued 4,000 of 10,000 changes, 400/s, about 15 s left"
        );
        state.note = "deadline 07:00 in time".into();
        assert!(sentence("queued", "changes", &state).ends_with(" left; deadline 07:00 in time"));
        (state.total, state.note) = (None, String::new());
        assert_eq!(
            sentence("queued", "changes", &state),
            "queued 4,000 changes, 400/s"
        );
        let event: serde_json::Value = serde_json::from_str(&event("queued", &state)).unwrap();
        assert_eq!(
            (event["done"].as_u64(), event["total"].is_null()),
            (Some(4_000), true)
        );
    }
}
