//! `flowlift report`.

use std::path::{Path, PathBuf};

use flowlift_common::amqp::Link;
use flowlift_common::order::RunId;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Context;
use crate::cli::runs::ReportArgs;
use crate::dead::id::{RunRef, short_run};
use crate::exit::Failure;
use crate::publish::{now_ms, set_up};
use crate::report::page::Frame;
use crate::report::{Collect, Figures, csv, page, ratios_json};
use crate::runs::Runs;
use crate::runs::read::{begin, each_run_event, each_settled};

/// Runs it.
pub(super) async fn run(context: &Context, args: &ReportArgs) -> Result<(), Failure> {
    let (ours, theirs) = read(context, args).await?;
    let now = now_ms();
    let broken = args
        .threshold
        .as_ref()
        .map(|thresholds| thresholds.broken(&ours.measures));
    let mut written: Vec<PathBuf> = Vec::new();
    if let Some(file) = &args.csv {
        write(file, &csv::csv(&ours))?;
        written.push(file.clone());
    }
    let for_programs = context.json || args.csv.is_some();
    let file = args.html.clone();
    let file = file
        .or_else(|| (!for_programs).then(|| format!("flowlift-report-{}.html", short_run(ours.run)).into()));
    if let Some(file) = file {
        let frame = Frame {
            zone: &TimeZone::system(),
            now_ms: now,
            thresholds: args
                .threshold
                .as_ref()
                .map(ToString::to_string)
                .zip(broken.clone()),
        };
        write(&file, &page(&ours, theirs.as_ref(), &frame))?;
        written.push(file);
    }
    let broken = broken.unwrap_or_default();
    let json = || {
        let mut json = ours.to_json();
        if let Some(theirs) = &theirs {
            json["against"] = theirs.to_json();
            json["ratios"] = ratios_json(&ours, theirs);
        }
        json["files"] = written
            .iter()
            .map(|file| json!(file))
            .collect::<Vec<Value>>()
            .into();
        json["broken_thresholds"] = json!(broken);
        json
    };
    let people = || {
        written
            .iter()
            .map(|file| file.display().to_string() + "\n")
            .collect()
    };
    context.print(json, people)?;
    if broken.is_empty() {
        return Ok(());
    }
    broken.iter().for_each(|sentence| context.reporter.warn(sentence));
    Err(Failure::No)
}

/// The figures of the run, and of the one it is compared with.
async fn read(context: &Context, args: &ReportArgs) -> Result<(Figures, Option<Figures>), Failure> {
    let settings = &context.settings;
    let link = Link::connect(settings.amqp_url(), "flowlift report").await?;
    set_up(&link, settings, &context.reporter).await?;
    let wanted: Vec<RunRef> = std::iter::once(args.run).chain(args.against).collect();
    let (mut runs, mut events) = (Runs::default(), Vec::new());
    each_run_event(&link, begin(None), |event| {
        runs.run_event(&event);
        if wanted.iter().any(|name| name.names(event.run())) {
            events.push(event);
        }
    })
    .await?;
    let ids: Result<Vec<RunId>, String> = wanted.iter().map(|name| runs.named(*name)).collect();
    let ids = ids.map_err(Failure::NoInput)?;
    let mut collected: Vec<Collect> = ids.iter().map(|run| Collect::new(*run)).collect();
    for event in &events {
        collected.iter_mut().for_each(|one| one.run_event(event));
    }
    let made = ids.iter().map(|run| run.made_at_ms()).min().flatten();
    let matters = |glance: &crate::runs::read::Glance| glance.results.iter().any(|at| ids.contains(&at.run));
    each_settled(&link, begin(made), matters, |record| {
        collected.iter_mut().for_each(|one| one.settled(&record));
    })
    .await?;
    link.close().await;
    let now = now_ms();
    let mut figures = collected.into_iter().map(|one| Figures::of(one, now));
    let ours = figures
        .next()
        .ok_or_else(|| Failure::Bug("no run was read".into()))?;
    Ok((ours, figures.next()))
}

/// Writes a file whole: whoever looks at it meanwhile sees the old one.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |source| Failure::Io {
        path: file.to_owned(),
        source,
    };
    // a device or a pipe is written to, not replaced
    if file.exists() && !file.is_file() {
        return std::fs::write(file, text).map_err(failed);
    }
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // as any other new file: a page is sent around
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let temporary = builder.tempfile_in(folder).map_err(failed)?;
    std::fs::write(temporary.path(), text).map_err(failed)?;
    temporary.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}
