//! Charts as inline SVG. Shapes alone are drawn: they may be stretched to any width; words stand beside them as HTML, so that
//! they are as large on a phone as on a wall. Pure.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::figures::TimeLine;
use super::html::escape;
use super::latency::Latencies;
use crate::when::second_ms;
use crate::words::{span, thousands};

/// Height of a chart in its own units; the width is its number of bars times ten.
const HEIGHT: f64 = 100.0;

/// `1,234` or `12.3`: as many digits as tell something.
#[must_use]
pub(super) fn number(value: f64) -> String {
    if value >= 10.0 || value == 0.0 {
        thousands(value.round() as u64)
    } else {
        format!("{value:.1}")
    }
}

/// `7 ms`, `1.2 s`, `3 min 5 s`.
#[must_use]
pub(super) fn ms(value: u64) -> String {
    if value < 1_000 {
        format!("{value} ms")
    } else {
        span(Duration::from_millis(value))
    }
}

fn svg(points: usize, label: &str, shapes: &str) -> String {
    let width = points.max(1) * 10;
    format!(
        "<svg viewBox=\"0 0 {width} {HEIGHT:.0}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{shapes}</svg>",
        escape(label)
    )
}

/// Bars side by side; each with its words.
fn bars(values: &[f64], most: f64, class: &str, words: impl Fn(usize) -> String) -> String {
    let mut shapes = String::new();
    for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        // what is there at all is seen
        let height = (value / most.max(f64::MIN_POSITIVE) * HEIGHT).clamp(1.5, HEIGHT);
        shapes += &format!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"{height:.1}\"><title>{}</title></rect>",
            at as f64 * 10.0 + 0.5,
            HEIGHT - height,
            escape(&words(at)),
        );
    }
    shapes
}

/// Settled changes over time, and below it the calls to Azkaban that failed.
#[must_use]
pub(super) fn time_line(line: &TimeLine, deadline_ms: Option<u64>, zone: &TimeZone) -> String {
    if line.changes.is_empty() {
        return "<p class=\"quiet\">Nothing is settled yet.</p>".into();
    }
    let at = |point: usize| line.from_ms + point as u64 * line.step_ms;
    let per_second = |n: u64| n as f64 * 1000.0 / line.step_ms.max(1) as f64;
    let rates: Vec<f64> = line.changes.iter().map(|n| per_second(*n)).collect();
    let points = rates.len();
    let words = |point: usize| {
        let changes = thousands(line.changes[point]);
        format!(
            "{}: {changes} changes, {}/s",
            second_ms(at(point), zone),
            number(rates[point])
        )
    };
    let mut shapes = bars(&rates, line.best(), "bar", words);
    let end = at(points);
    let in_sight = deadline_ms.filter(|deadline| (line.from_ms..end).contains(deadline));
    if let Some(deadline) = in_sight {
        let x = (deadline - line.from_ms) as f64 / line.step_ms.max(1) as f64 * 10.0;
        shapes += &format!(
            "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{HEIGHT:.0}\"><title>deadline</title></line>"
        );
    }
    let mut html = format!(
        "<div class=\"chart\"><div class=\"top\">{}/s</div><div class=\"plot\">{}</div>",
        number(line.best()),
        svg(points, "changes settled per second, over time", &shapes)
    );
    let faults: u64 = line.faults.iter().sum();
    if faults > 0 {
        let values: Vec<f64> = line.faults.iter().map(|n| *n as f64).collect();
        let most = values.iter().copied().fold(1.0, f64::max);
        let words = |point: usize| {
            format!(
                "{}: {} failed calls",
                second_ms(at(point), zone),
                thousands(line.faults[point])
            )
        };
        let shapes = bars(&values, most, "bad", words);
        html += &format!(
            "<div class=\"strip\">{}</div>",
            svg(points, "failed calls to Azkaban, over time", &shapes)
        );
    }
    let day = |ms: u64| second_ms(ms, zone).chars().take(10).collect::<String>();
    // the day stands in the text above unless it changes on the way
    let tick = |ms: u64| {
        let text = second_ms(ms, zone);
        if day(line.from_ms) == day(end) {
            text.chars().skip(11).collect()
        } else {
            text.chars().skip(5).take(11).collect::<String>()
        }
    };
    html += &format!(
        "<div class=\"axis\"><span>{}</span><span>{}</span><span>{}</span></div></div>",
        escape(&tick(line.from_ms)),
        escape(&tick(line.from_ms + (end - line.from_ms) / 2)),
        escape(&tick(end))
    );
    let mut legend = "<p class=\"legend\"><i class=\"bar\"></i>changes settled per second".to_owned();
    if faults > 0 {
        legend += &format!(
            " <i class=\"bad\"></i>calls to Azkaban that failed ({})",
            thousands(faults)
        );
    }
    if in_sight.is_some() {
        legend += " <i class=\"mark\"></i>deadline";
    }
    html + &legend + "</p>"
}

/// Upper bounds of the steps of the scale, ms: seven or eight for each tenfold, from 10 ms to four months.
fn bounds() -> Vec<u64> {
    (0..=68)
        .map(|n| (10.0 * 10_f64.powf(f64::from(n) / 7.5)).round() as u64)
        .collect()
}

/// How the times from publishing to applied are spread; of two runs one over the other.
#[must_use]
pub(super) fn latencies(ours: &Latencies, theirs: Option<&Latencies>) -> String {
    let all = bounds();
    if ours.count() == 0 {
        return "<p class=\"quiet\">Nothing was applied.</p>".into();
    }
    let share = |of: &Latencies| -> Vec<f64> {
        let count = of.count().max(1) as f64;
        of.steps(&all)
            .into_iter()
            .map(|n| n as f64 * 100.0 / count)
            .collect()
    };
    let (mine, other) = (share(ours), theirs.filter(|of| of.count() > 0).map(share));
    let seen = |at: &usize| mine[*at] > 0.0 || other.as_ref().is_some_and(|other| other[*at] > 0.0);
    let places: Vec<usize> = (0..all.len()).filter(seen).collect();
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return "<p class=\"quiet\">All took longer than this scale goes.</p>".into();
    };
    let (first, last) = (first.saturating_sub(1), (last + 1).min(all.len() - 1));
    let (mine, other) = (
        &mine[first..=last],
        other.as_ref().map(|other| &other[first..=last]),
    );
    let most = mine
        .iter()
        .chain(other.into_iter().flatten())
        .copied()
        .fold(0.0, f64::max);
    let lower = |at: usize| (first + at).checked_sub(1).map_or(0, |before| all[before]);
    let words = |at: usize| format!("{} to {}: {:.1} %", ms(lower(at)), ms(all[first + at]), mine[at]);
    let mut shapes = bars(mine, most, "bar", words);
    if let Some(other) = other {
        let mut path = String::new();
        for (at, value) in other.iter().enumerate() {
            let (from, to, y) = (
                at * 10,
                at * 10 + 10,
                HEIGHT - value / most * (HEIGHT - 2.0) - 1.0,
            );
            path += &format!("{}{from} {y:.1}H{to}", if at == 0 { "M" } else { "L" });
        }
        shapes += &format!("<path class=\"other\" d=\"{path}\"/>");
    }
    let points = mine.len();
    let mut html = format!(
        "<div class=\"chart\"><div class=\"top\">{most:.0} % of changes</div><div class=\"plot\">{}</div>",
        svg(
            points,
            "share of changes by time from publishing to applied",
            &shapes
        )
    );
    html += &format!(
        "<div class=\"axis\"><span>{}</span><span>{}</span><span>{}</span></div></div>",
        ms(lower(0)),
        ms(all[first + points / 2].max(1)),
        ms(all[last])
    );
    html
}

/// A bar of parts that make a whole.
#[must_use]
pub(super) fn parts(parts: &[(&str, u64)]) -> String {
    let all: u64 = parts.iter().map(|(_, n)| n).sum();
    if all == 0 {
        return String::new();
    }
    let mut html = "<div class=\"parts\" role=\"img\" aria-label=\"changes by outcome\">".to_owned();
    for (class, n) in parts.iter().filter(|(_, n)| *n > 0) {
        html += &format!(
            "<span class=\"o-{class}\" style=\"flex-grow:{n}\" title=\"{class}: {}\"></span>",
            thousands(*n)
        );
    }
    html + "</div>"
}

/// A bar as long as its share.
#[must_use]
pub(super) fn share(part: u64, all: u64) -> String {
    let percent = part as f64 * 100.0 / all.max(1) as f64;
    format!("<div class=\"share\"><span style=\"width:{percent:.1}%\"></span></div>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Figures;
    use crate::report::figures::tests::{T0, collected};

    #[test]
    fn a_time_line_has_a_bar_for_each_point_with_changes_and_marks_the_deadline() {
        let figures = Figures::of(collected(), T0 + 100_000);
        let html = time_line(&figures.time_line, Some(T0 + 20_000), &TimeZone::UTC);
        assert_eq!(html.matches("<rect class=\"bar\"").count(), 3);
        assert_eq!(html.matches("<rect class=\"bad\"").count(), 3);
        assert_eq!(
            html.matches("class=\"mark\"").count(),
            2,
            "the line and its place in the legend"
        );
        assert!(html.contains("<div class=\"top\">200/s</div>"), "{html}");
        assert!(!time_line(&figures.time_line, Some(T0 + 90_000), &TimeZone::UTC).contains("mark"));
        assert!(time_line(&TimeLine::default(), None, &TimeZone::UTC).contains("Nothing is settled yet"));
    }

    #[test]
    fn latencies_are_shown_from_the_shortest_to_the_longest_and_over_those_of_another_run() {
        let mut ours = Latencies::default();
        ours.add(5_000, 40);
        ours.add(30_000, 60);
        let html = latencies(&ours, None);
        assert_eq!(html.matches("<rect").count(), 2);
        assert!(html.contains("60 % of changes") && !html.contains("class=\"other\""));
        let mut theirs = Latencies::default();
        theirs.add(100, 10);
        let html = latencies(&ours, Some(&theirs));
        assert!(html.contains("class=\"other\"") && html.contains("100 % of changes"));
        assert!(latencies(&Latencies::default(), Some(&theirs)).contains("Nothing was applied"));
    }

    #[test]
    fn every_latency_has_its_step_up_to_months() {
        let all = bounds();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(all[0] == 10 && *all.last().unwrap() > 10_000_000_000 / 12);
    }

    #[test]
    fn numbers_have_the_digits_that_tell_something() {
        assert_eq!(
            [0.0, 0.44, 9.96, 12.3, 12_345.6].map(number),
            ["0", "0.4", "10.0", "12", "12,346"]
        );
        assert_eq!([7, 1_200, 185_000].map(ms), ["7 ms", "1.2 s", "3 min 5 s"]);
    }

    #[test]
    fn parts_that_are_not_there_take_no_room() {
        assert_eq!(parts(&[("applied", 0)]), "");
        assert_eq!(parts(&[("applied", 3), ("dead", 0)]).matches("<span").count(), 1);
        assert!(share(1, 4).contains("width:25.0%"));
    }
}
