//! The page: one HTML file with its style and pictures in it, readable without a network and without scripts. Pure.

use flowlift_common::ledger::Outcome;
use jiff::tz::TimeZone;

use super::Figures;
use super::chart::{self, ms, number};
use super::collect::STEPS;
use super::compare::compared;
use super::html::{escape, table};
use crate::dead::id::short_run;
use crate::when::{Kept, minute_ms, second_ms};
use crate::words::{count, span, thousands};

const STYLE: &str = include_str!("style.css");
/// Uploads, projects and reasons that are shown.
const SHOWN: usize = 20;
/// The longest reason on the page; the dead letter has all of it.
const REASON: usize = 600;

/// What a page is made with besides the figures.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The zone of its times.
    pub zone: &'a TimeZone,
    /// When it is made, ms since 1970.
    pub now_ms: u64,
    /// The thresholds that were asked for, and a sentence for each that is broken.
    pub thresholds: Option<(String, Vec<String>)>,
}

/// Writes the page of a run, or of one against another.
#[must_use]
pub fn page(ours: &Figures, against: Option<&Figures>, frame: &Frame<'_>) -> String {
    let run = short_run(ours.run);
    let mut body = head(ours, frame);
    body += &tiles(ours);
    body += &outcomes(ours);
    if let Some(theirs) = against {
        body += &versus(ours, theirs, frame);
    }
    body += &over_time(ours, frame);
    body += &latency(ours, against);
    body += &uploads(ours, frame);
    body += &projects(ours);
    body += &dead(ours);
    body += &faults(ours);
    body += &consumers(ours);
    body += &settings(ours, frame);
    body += &format!(
        "<footer>Made {} by flowlift {}. Times are {}; those of changes go by the clocks of producers and consumers.</footer>",
        escape(&second_ms(frame.now_ms, frame.zone)),
        env!("CARGO_PKG_VERSION"),
        escape(&zone_name(frame))
    );
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Flowlift run {run}</title>\n\
         <style>\n{STYLE}</style></head>\n<body><main>\n{body}</main></body></html>\n"
    )
}

fn zone_name(frame: &Frame<'_>) -> String {
    let now = crate::when::stamp(frame.now_ms).unwrap_or_default();
    now.to_zoned(frame.zone.clone()).strftime("UTC%:z").to_string()
}

/// The verdict in one sentence, good or poor.
fn verdict(run: &Figures) -> (bool, String) {
    let (done, dead) = (run.measures.done, run.measures.dead);
    let total = run.total;
    let rest = total.map(|total| total.saturating_sub(done));
    let mut text = match (total, rest) {
        (Some(0), _) => "Nothing was to be done.".to_owned(),
        (Some(total), Some(0)) if dead == 0 => format!("All {} are done.", count(total, "change")),
        (Some(total), Some(0)) => {
            format!(
                "All {} have their outcome; {} could not be applied.",
                count(total, "change"),
                thousands(dead)
            )
        }
        (Some(total), _) => format!(
            "{} of {} have their outcome.",
            thousands(done),
            count(total, "change")
        ),
        (None, _) => format!(
            "{} have their outcome; the run is not closed.",
            count(done, "change")
        ),
    };
    let mut good = rest == Some(0) && dead == 0;
    if let Some((_, kept)) = run.deadline {
        text += &format!(" Deadline {}.", kept.words());
        good &= kept.decided() != Some(false);
    }
    if run.partial {
        text += " It was interrupted while it was published: less was queued than was meant.";
    }
    (good, text)
}

fn head(run: &Figures, frame: &Frame<'_>) -> String {
    let (good, text) = verdict(run);
    let class = if good { "good" } else { "poor" };
    let state = escape(run.state.word());
    let mut html = match &run.opening {
        Some(opening) => format!(
            "<h1>{} <span class=\"chip {class}\">{state}</span></h1>\n<p class=\"quiet\">run <code>{}</code> by {}, {}</p>\n",
            escape(&opening.source),
            run.run,
            escape(&opening.who),
            escape(&second_ms(opening.at_ms, frame.zone))
        ),
        None => format!(
            "<h1>Run <code>{}</code> <span class=\"chip {class}\">{state}</span></h1>\n<p class=\"quiet\">Its opening is kept no longer.</p>\n",
            run.run
        ),
    };
    html += &format!("<p class=\"verdict {class}\">{}</p>\n", escape(&text));
    if let Some((asked, broken)) = &frame.thresholds {
        if broken.is_empty() {
            html += &format!("<p class=\"good\">All thresholds hold: {}</p>\n", escape(asked));
        }
        for sentence in broken {
            html += &format!("<p class=\"poor\">{}</p>\n", escape(sentence));
        }
    }
    html
}

fn tiles(run: &Figures) -> String {
    let dash = || "-".to_owned();
    let quantile = |thousandths| run.latencies.quantile(thousandths).map_or_else(dash, ms);
    let mut tiles = vec![
        (
            run.total.map_or_else(|| thousands(run.measures.done), thousands),
            "changes",
        ),
        (
            span(std::time::Duration::from_millis(run.measures.duration_ms)),
            "from opening to the last outcome",
        ),
        (format!("{}/s", number(run.rate())), "changes settled"),
        (quantile(500), "median, published to applied"),
        (quantile(990), "99 of 100 within"),
        (thousands(run.uploads.len() as u64), "uploads"),
        (run.per_upload().map_or_else(dash, number), "changes per upload"),
        (thousands(run.measures.dead), "dead letters"),
    ];
    if let Some((_, kept)) = run.deadline {
        let word = match kept {
            Kept::By(_) => "kept",
            Kept::MissedBy(_) => "missed",
            Kept::Open(_) => "open",
            Kept::Late(_) => "over",
        };
        tiles.push((word.to_owned(), "deadline"));
    }
    let tile = |(value, name): (String, &str)| {
        format!(
            "<div class=\"tile\"><b>{}</b><span>{name}</span></div>",
            escape(&value)
        )
    };
    let tiles: String = tiles.into_iter().map(tile).collect();
    format!("<div class=\"tiles\">{tiles}</div>\n")
}

const MEANING: [(Outcome, &str); 6] = [
    (Outcome::Applied, "in Azkaban, read back"),
    (Outcome::Unchanged, "Azkaban had it already"),
    (Outcome::Superseded, "a newer change of the same flow counts"),
    (Outcome::Cancelled, "the run was cancelled before it began"),
    (Outcome::Restored, "lost and brought back"),
    (Outcome::Dead, "could not be applied"),
];

fn outcomes(run: &Figures) -> String {
    let waiting = run
        .total
        .map_or(0, |total| total.saturating_sub(run.measures.done));
    let mut parts: Vec<(&str, u64)> = MEANING
        .iter()
        .map(|(outcome, _)| (outcome.as_str(), run.count(*outcome)))
        .collect();
    parts.push(("open", waiting));
    let all: u64 = run.total.unwrap_or(run.measures.done).max(1);
    let percent = |n: u64| format!("{:.1} %", n as f64 * 100.0 / all as f64);
    let mut rows: Vec<Vec<String>> = MEANING
        .iter()
        .map(|(outcome, meaning)| (outcome.as_str(), *meaning, run.count(*outcome)))
        .chain([("open", "no outcome yet", waiting)])
        .filter(|(name, _, n)| *n > 0 || matches!(*name, "applied" | "dead"))
        .map(|(name, meaning, n)| vec![name.to_owned(), thousands(n), percent(n), meaning.to_owned()])
        .collect();
    if run.total == Some(0) {
        rows.clear();
    }
    format!(
        "<h2>What became of the changes</h2>\n{}{}",
        chart::parts(&parts),
        table(
            &["outcome", "changes", "share", "meaning"],
            &[false, true, true, false],
            rows
        )
    )
}

fn versus(ours: &Figures, theirs: &Figures, frame: &Frame<'_>) -> String {
    let at = |run: &Figures| {
        run.opening.as_ref().map_or_else(
            || "at an unknown time".into(),
            |opening| minute_ms(opening.at_ms, frame.zone),
        )
    };
    let (mine, other) = (short_run(ours.run), short_run(theirs.run));
    let rows = compared(ours, theirs).into_iter().map(Vec::from);
    format!(
        "<h2>Against run {other}</h2>\n<p>Run {mine} was opened {}, run {other} {}. The ratio is the first by the second.</p>\n{}",
        escape(&at(ours)),
        escape(&at(theirs)),
        table(
            &["figure", &mine, &other, "ratio"],
            &[false, true, true, true],
            rows
        )
    )
}

fn over_time(run: &Figures, frame: &Frame<'_>) -> String {
    let deadline = run.deadline.map(|(at, _)| at);
    format!(
        "<h2>How fast were changes settled?</h2>\n<div class=\"card\">{}</div>\n",
        chart::time_line(&run.time_line, deadline, frame.zone)
    )
}

fn latency(run: &Figures, against: Option<&Figures>) -> String {
    let mut html = format!(
        "<h2>How long from publishing to applied?</h2>\n<div class=\"card\">{}",
        chart::latencies(&run.latencies, against.map(|theirs| &theirs.latencies))
    );
    if let Some(theirs) = against {
        html += &format!(
            "<p class=\"legend\"><i class=\"bar\"></i>run {} <i class=\"other\"></i>run {}</p>",
            short_run(run.run),
            short_run(theirs.run)
        );
    }
    html += "</div>\n";
    let quantiles = [
        ("half", 500),
        ("9 of 10", 900),
        ("95 of 100", 950),
        ("99 of 100", 990),
        ("all", 1_000),
    ];
    let words = |of: &Figures, thousandths| of.latencies.quantile(thousandths).map_or_else(|| "-".into(), ms);
    let rows = quantiles.map(|(name, thousandths)| {
        let mut row = vec![name.to_owned(), words(run, thousandths)];
        row.extend(against.map(|theirs| words(theirs, thousandths)));
        row
    });
    let (mine, other) = (short_run(run.run), against.map(|theirs| short_run(theirs.run)));
    let mut heading = vec![
        "of the changes",
        if other.is_some() { &mine } else { "applied within" },
    ];
    heading.extend(other.as_deref());
    html + "<p></p>" + &table(&heading, &[false, true, true], rows)
}

fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}

fn uploads(run: &Figures, frame: &Frame<'_>) -> String {
    if run.uploads.is_empty() {
        return "<h2>Uploads</h2>\n<p class=\"quiet\">Nothing had to be uploaded.</p>\n".into();
    }
    let all = run.uploads.len() as u64;
    let carried: u64 = run.uploads.iter().map(|upload| upload.changes).sum();
    let sent: u64 = run.uploads.iter().map(|upload| upload.zip_bytes).sum();
    let most = run
        .uploads
        .iter()
        .map(|upload| upload.changes)
        .max()
        .unwrap_or_default();
    let mut slowest: Vec<_> = run.uploads.iter().collect();
    slowest.sort_by_key(|upload| std::cmp::Reverse(upload.upload_ms));
    let rows = slowest.iter().take(SHOWN).map(|upload| {
        vec![
            upload.project.to_string(),
            upload.version.to_string(),
            thousands(upload.changes),
            ms(upload.upload_ms),
            bytes(upload.zip_bytes),
            thousands(upload.flows),
            upload.consumer.clone(),
            second_ms(upload.at_ms, frame.zone),
        ]
    });
    let heading = [
        "project", "version", "changes", "upload", "zip", "flows", "consumer", "settled",
    ];
    let numbers = [false, true, true, true, true, true, false, true];
    let which = if run.uploads.len() > SHOWN {
        format!("The slowest {SHOWN}:")
    } else {
        "All of them, the slowest first:".into()
    };
    let mut html = format!(
        "<h2>Uploads</h2>\n<p>{} carried {}: {} each on average, {} at most; {} were sent.</p>\n",
        count(all, "upload"),
        count(carried, "change"),
        run.per_upload().map_or_else(|| "0".into(), number),
        thousands(most),
        bytes(sent)
    );
    let steps: Vec<Vec<String>> = STEPS
        .iter()
        .zip(&run.steps)
        .filter(|(_, step)| step.count > 0)
        .map(|(name, step)| {
            let mean = step.mean_ms().map_or_else(|| "-".into(), ms);
            vec![(*name).to_owned(), mean, ms(step.max_ms), thousands(step.count)]
        })
        .collect();
    html += &table(
        &["step of a batch", "on average", "at most", "batches"],
        &[false, true, true, true],
        steps,
    );
    html + &format!("<p>{which}</p>\n") + &table(&heading, &numbers, rows)
}

fn projects(run: &Figures) -> String {
    if run.projects.is_empty() {
        return String::new();
    }
    let rows = run.projects.iter().take(SHOWN).map(|(name, project)| {
        vec![
            name.to_string(),
            thousands(project.changes),
            ms(project.slowest_ms),
            project.mean_ms().map_or_else(|| "-".into(), ms),
            thousands(project.uploads),
            ms(project.upload_ms),
            thousands(project.faults),
            thousands(project.dead),
        ]
    });
    let heading = [
        "project",
        "changes",
        "slowest change",
        "mean",
        "uploads",
        "uploading",
        "failed calls",
        "dead",
    ];
    let all = run.projects.len();
    let more = if all > SHOWN {
        format!(
            "<p class=\"quiet\">{SHOWN} of {}.</p>\n",
            count(all as u64, "project")
        )
    } else {
        String::new()
    };
    format!(
        "<h2>Which projects were slowest?</h2>\n{}{more}",
        table(&heading, &[false, true, true, true, true, true, true, true], rows)
    )
}

fn dead(run: &Figures) -> String {
    if run.dead.is_empty() {
        return "<h2>Dead letters</h2>\n<p class=\"quiet\">None.</p>\n".into();
    }
    let mut html = "<h2>Dead letters</h2>\n".to_owned();
    html += &format!(
        "<p>Look with <code>flowlift dead list --run {0}</code>, queue again with <code>flowlift dead requeue --run {0}</code>.</p>\n",
        run.run
    );
    html += "<div class=\"card\">\n";
    for (reason, dead) in run.dead.iter().take(SHOWN) {
        let names: Vec<String> = dead
            .first
            .iter()
            .map(|(project, name)| format!("{project}/{name}"))
            .collect();
        let more = dead.count.saturating_sub(names.len() as u64);
        let more = if more > 0 {
            format!(" and {} more", thousands(more))
        } else {
            String::new()
        };
        let cut: String = reason.chars().take(REASON).collect();
        let dots = if cut.len() < reason.len() { "…" } else { "" };
        html += &format!(
            "<div class=\"death\"><b>{}</b><p class=\"reason\">{}{dots}</p><div class=\"quiet\">{}{more}</div></div>\n",
            count(dead.count, "change"),
            escape(&cut),
            escape(&names.join(", "))
        );
    }
    html += "</div>\n";
    if run.dead.len() > SHOWN {
        html += &format!(
            "<p class=\"quiet\">{SHOWN} of {}.</p>\n",
            count(run.dead.len() as u64, "reason")
        );
    }
    html
}

fn faults(run: &Figures) -> String {
    if run.faults.is_empty() {
        return "<h2>Failed calls to Azkaban</h2>\n<p class=\"quiet\">None that the ledger tells of.</p>\n"
            .into();
    }
    let rows = run
        .faults
        .iter()
        .take(SHOWN)
        .map(|(class, code, n)| vec![code.clone(), class.clone(), thousands(*n)]);
    format!(
        "<h2>Failed calls to Azkaban</h2>\n<p class=\"quiet\">On the time line they stand where their project was settled next.</p>\n{}",
        table(&["what", "class", "calls"], &[false, false, true], rows)
    )
}

fn consumers(run: &Figures) -> String {
    if run.consumers.is_empty() {
        return String::new();
    }
    let all = run.measures.done;
    let mut html = "<h2>Who did the work?</h2>\n<div class=\"card\">\n".to_owned();
    for (name, part) in run.consumers.iter().take(100) {
        html += &format!(
            "<div class=\"consumer\"><div>{}</div>{}<div class=\"n\">{} ({:.0} %), {}</div></div>\n",
            escape(name),
            chart::share(part.changes, all),
            thousands(part.changes),
            part.changes as f64 * 100.0 / all.max(1) as f64,
            count(part.uploads, "upload")
        );
    }
    html + "</div>\n"
}

fn settings(run: &Figures, frame: &Frame<'_>) -> String {
    let unknown = || "not known".to_owned();
    let opening = run.opening.as_ref();
    let versions: std::collections::BTreeSet<&String> = run
        .consumers
        .iter()
        .flat_map(|(_, part)| &part.versions)
        .collect();
    let versions: Vec<&str> = versions.into_iter().map(String::as_str).collect();
    let owner = opening
        .map(|opening| opening.owner.clone())
        .filter(|owner| !owner.is_empty());
    let time = |at: Option<u64>| at.map_or_else(unknown, |at| second_ms(at, frame.zone));
    let deadline = run.deadline.map_or_else(
        || "none".to_owned(),
        |(at, kept)| format!("{} ({})", minute_ms(at, frame.zone), kept.words()),
    );
    let rows = [
        ("run", run.run.to_string()),
        ("owner", owner.unwrap_or_else(|| "nobody in particular".into())),
        ("opened", time(opening.map(|opening| opening.at_ms))),
        (
            "all queued",
            run.published_ms
                .map_or_else(|| "not closed".into(), |at| second_ms(at, frame.zone)),
        ),
        ("last outcome", time(run.last_ms)),
        ("deadline", deadline),
        ("projects", thousands(run.projects.len() as u64)),
        (
            "producer",
            opening
                .and_then(|opening| opening.version.clone())
                .map_or_else(unknown, |version| format!("flowlift {version}")),
        ),
        (
            "consumers",
            if versions.is_empty() {
                unknown()
            } else {
                format!("flowlift-consumer {}", versions.join(", "))
            },
        ),
        (
            "shards",
            opening
                .and_then(|opening| opening.shards)
                .map_or_else(unknown, |shards| shards.to_string()),
        ),
    ];
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value)))
        .collect();
    format!("<h2>Versions and settings</h2>\n<div class=\"card\"><dl>{rows}</dl></div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Collect;
    use crate::report::figures::tests::{T0, collected, run};

    fn frame(zone: &TimeZone) -> Frame<'_> {
        Frame {
            zone,
            now_ms: T0 + 100_000,
            thresholds: None,
        }
    }

    #[test]
    fn the_page_stands_alone_and_says_the_figures() {
        let html = page(
            &Figures::of(collected(), T0 + 100_000),
            None,
            &frame(&TimeZone::UTC),
        );
        for outside in ["<script", "http:", "https:", "url(", "@import", "<link", "src="] {
            assert!(!html.contains(outside), "{outside}");
        }
        for said in [
            "All 130 changes have their outcome; 10 could not be applied. Deadline missed by 21 s.",
            "<b>10 s</b><span>median, published to applied</span>",
            "<td>99 of 100</td><td class=\"n\">30 s</td>",
            "2 uploads carried 120 changes: 60 each on average, 100 at most",
            "<dd>flowlift-consumer 0.1.0</dd>",
            "<td>timed_out</td><td>transient</td><td class=\"n\">6</td>",
        ] {
            assert!(html.contains(said), "{said}");
        }
    }

    #[test]
    fn hostile_names_and_reasons_stay_text() {
        let html = page(
            &Figures::of(collected(), T0 + 100_000),
            None,
            &frame(&TimeZone::UTC),
        );
        for said in [
            "<h1>130 &lt;generated&gt; flows",
            "by me&amp;you@host",
            "no type &lt;script&gt;alert(1)&lt;/script&gt;",
            "b/flow&lt;121&gt;",
        ] {
            assert!(html.contains(said), "{said}");
        }
    }

    #[test]
    fn two_runs_are_compared_in_figures_and_picture() {
        let figures = Figures::of(collected(), T0 + 100_000);
        let html = page(&figures, Some(&figures), &frame(&TimeZone::UTC));
        assert!(
            html.contains("<h2>Against run 0c6bfa0d</h2>")
                && html.contains("<td class=\"n\" data-l=\"ratio\">1.00</td>")
        );
        assert!(html.contains("class=\"other\" d=\"M"));
    }

    #[test]
    fn broken_thresholds_are_said_first() {
        let broken = vec!["threshold p99<1s is broken: it is 30 s".to_owned()];
        let zone = TimeZone::UTC;
        let frame = Frame {
            thresholds: Some(("p99<1s".into(), broken)),
            zone: &zone,
            now_ms: T0,
        };
        let html = page(&Figures::of(collected(), T0 + 100_000), None, &frame);
        assert!(html.contains("<p class=\"poor\">threshold p99&lt;1s is broken: it is 30 s</p>"));
    }

    #[test]
    fn a_run_of_which_nothing_is_known_has_a_page_too() {
        let html = page(
            &Figures::of(Collect::new(run()), T0),
            None,
            &frame(&TimeZone::UTC),
        );
        assert!(
            html.contains("Its opening is kept no longer") && html.contains("0 changes have their outcome")
        );
    }
}
