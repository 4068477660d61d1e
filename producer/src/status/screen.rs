//! The live view: as many lines as the terminal has, none longer than it is wide. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::Now;
use super::words::{condition, in_hand, summary};
use crate::words::{span, thousands};

/// Rates of the past, for the sparkline.
#[derive(Debug, Clone, Default)]
pub struct History {
    rates: VecDeque<f64>,
}

/// More than the widest terminal shows.
const KEPT: usize = 600;
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl History {
    /// Notes the rate of a look.
    pub fn add(&mut self, changes_per_second: f64) {
        self.rates.push_back(changes_per_second);
        if self.rates.len() > KEPT {
            self.rates.pop_front();
        }
    }

    /// The last looks, one character each, as high as their rate is against the highest of them.
    fn sparkline(&self, width: usize) -> String {
        let from = self.rates.len().saturating_sub(width);
        let shown: Vec<f64> = self.rates.iter().skip(from).copied().collect();
        let highest = shown.iter().copied().fold(0.0, f64::max);
        let spark = |rate: &f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 7"
            )]
            let level = if highest > 0.0 {
                (rate / highest * 7.0).round() as usize
            } else {
                0
            };
            SPARKS[level.min(7)]
        };
        shown.iter().map(spark).collect()
    }
}

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Whether there is colour.
    pub colour: bool,
}

/// The lines of a screen.
#[must_use]
pub fn screen(now: &Now, history: &History, zone: &TimeZone, look: Look) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in summary(now, zone) {
        let urgent = name == "paused"
            || value.contains("in danger")
            || value.contains("missed")
            || value.contains("counts as away")
            || (name == "dead letters" && value != "none");
        let line = fit(&format!("{name:<13} {value}"), look.width);
        lines.push(if urgent { paint(line, "33", look) } else { line });
    }
    let spark = history.sparkline(look.width.saturating_sub(14));
    lines.push(format!("{:<13} {}", "changes/s", paint(spark, "36", look)));
    lines.push(String::new());
    let room = look.height.saturating_sub(lines.len() + 1);
    // consumers first; what is in hand takes what is left
    let bars = bars(now, look, room);
    let left = room.saturating_sub(bars.len() + 2);
    lines.extend(bars);
    let busy = in_hand(now);
    if left > 0 && !busy.is_empty() {
        lines.push(String::new());
        lines.push(paint(
            fit(
                &format!("{:<28} {:<22} {:>10}  {}", "project", "step", "for", "consumer"),
                look.width,
            ),
            "1",
            look,
        ));
        for (name, project) in busy.iter().take(left) {
            let for_ = span(Duration::from_millis(project.for_ms));
            let row = format!(
                "{:<28} {:<22} {for_:>10}  {name}",
                fit(project.project.as_ref(), 28),
                project.step.as_str()
            );
            lines.push(fit(&row, look.width));
        }
    }
    lines.truncate(look.height.saturating_sub(1));
    lines.push(paint(
        fit("Ctrl-C ends this view; the work goes on", look.width),
        "2",
        look,
    ));
    lines
}

/// A bar for each consumer: its part of the rate.
fn bars(now: &Now, look: Look, room: usize) -> Vec<String> {
    if now.consumers.is_empty() {
        return Vec::new();
    }
    let rate = |state: &flowlift_common::state::ConsumerState| state.lately.per_second(state.lately.changes);
    let highest = now.consumers.iter().map(rate).fold(0.0, f64::max);
    let names = now.consumers.iter().map(|state| state.name.chars().count()).max();
    let name_width = names.unwrap_or(0).clamp(8, 24);
    let bar_width = look.width.saturating_sub(name_width + 46).clamp(5, 60);
    let mut lines = vec![paint(
        fit(
            &format!(
                "{:<name_width$} {:>6} {:>8} {:>10}  {:<bar_width$} state",
                "consumer", "shards", "in hand", "changes/s", ""
            ),
            look.width,
        ),
        "1",
        look,
    )];
    let shown = now.consumers.len().min(room.saturating_sub(2).max(1));
    for state in now.consumers.iter().take(shown) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and the width"
        )]
        let filled = if highest > 0.0 {
            (rate(state) / highest * bar_width as f64).round() as usize
        } else {
            0
        };
        let bar = format!(
            "{}{}",
            "█".repeat(filled),
            "░".repeat(bar_width - filled.min(bar_width))
        );
        let row = format!(
            "{:<name_width$} {:>6} {:>8} {:>10.1}  {bar} {}",
            fit(&state.name, name_width),
            state.shards.len(),
            thousands(state.messages),
            rate(state),
            condition(state)
        );
        lines.push(fit(&row, look.width));
    }
    if shown < now.consumers.len() {
        lines.push(format!("and {} more consumers", now.consumers.len() - shown));
    }
    lines
}

/// Cuts a line; what is cut is shown by a dot.
fn fit(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn paint(text: String, code: &str, look: Look) -> String {
    if look.colour && !text.is_empty() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text
    }
}
