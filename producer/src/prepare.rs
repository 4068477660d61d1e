//! Makes a source of what the command line says.

use std::io::IsTerminal as _;
use std::path::Path;

use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{ProjectName, check_cron};
use flowlift_common::Schedule;

use crate::check::Findings;
use crate::cli::SourceArgs;
use crate::exit::Failure;
use crate::source::generate::{Generate, Plan, Shape};
use crate::source::line::Parser;
use crate::source::lines::Lines;
use crate::source::{Files, Kind, Source, kind, tree};
use crate::template::Template;
use crate::units;

/// The jobs of a generated flow whose shape needs several, when nothing is said.
const SEVERAL: u16 = 3;

/// Reads a source far enough that it can be checked and sent.
pub fn source(args: &SourceArgs) -> Result<Source, Failure> {
    match (&args.source, args.flows) {
        (None, None) => Err(Failure::Usage(
            "nothing to publish: expected a folder, a .zip, a .ndjson file, - for standard input, or --flows N".into(),
        )),
        (None, Some(count)) => generate(args, count).map(Source::Generated),
        (Some(path), _) if path.as_os_str() == "-" => {
            no_into(args, "standard input")?;
            if std::io::stdin().is_terminal() {
                return Err(Failure::Usage("standard input is a terminal: expected NDJSON from a pipe or a file".into()));
            }
            Lines::spooled(std::io::stdin().lock(), project_if_given(args)?, schedule(args)?).map(Source::Lines)
        }
        (Some(path), _) => match kind(path)? {
            Kind::Lines => {
                no_into(args, "NDJSON")?;
                Ok(Source::Lines(Lines::of_file(path, project_if_given(args)?, schedule(args)?)))
            }
            kind => files(args, path, kind).map(Source::Files),
        },
    }
}

/// What reads the lines of an endless standard input.
pub fn stream(args: &SourceArgs) -> Result<Parser, Failure> {
    if args.source.as_deref() != Some(Path::new("-")) {
        return Err(Failure::Usage(
            "--stream reads standard input: expected - as the source".into(),
        ));
    }
    no_into(args, "standard input")?;
    Ok(Parser::new(
        "standard input",
        project_if_given(args)?,
        schedule(args)?,
    ))
}

fn generate(args: &SourceArgs, count: u64) -> Result<Generate, Failure> {
    no_into(args, "--flows")?;
    let template = |what: &str, text: &str| {
        text.parse::<Template>()
            .map_err(|error| Failure::Usage(format!("{what}: {error}")))
    };
    let project = args.project.as_deref().ok_or_else(no_project)?;
    let (mut name, mut command) = ("flow_{n:06}", "echo {n:06}");
    for given in &args.template {
        match given.split_once('=') {
            Some(("name", text)) => name = text,
            Some(("command", text)) => command = text,
            _ => {
                return Err(Failure::Usage(format!(
                    "--template {given:?}: expected name=TEXT or command=TEXT"
                )));
            }
        }
    }
    let name = template("--template name", name)?;
    if count > 1 && !name.varies() {
        return Err(Failure::Usage(
            "--template name: expected {n} in it, or all flows have one name".into(),
        ));
    }
    let schedule = match args.cron.as_deref() {
        None => Plan::Keep,
        Some("none") => Plan::Remove,
        Some(text) => Plan::Cron(template("--cron", text)?),
    };
    let (jobs, shape) = jobs(args)?;
    Ok(Generate {
        count,
        project: template("--project", project)?,
        name,
        command: template("--template command", command)?,
        schedule,
        jobs: usize::from(jobs),
        shape,
    })
}

fn jobs(args: &SourceArgs) -> Result<(u16, Shape), Failure> {
    match (args.jobs, args.shape) {
        (None | Some(1), None | Some(Shape::Single)) => Ok((1, Shape::Single)),
        (Some(jobs), Some(Shape::Single)) => Err(Failure::Usage(format!(
            "--jobs {jobs} --shape single: a single flow has one job"
        ))),
        (Some(jobs), None) => Ok((jobs, Shape::Chain)),
        (jobs, Some(shape)) => Ok((jobs.unwrap_or(SEVERAL), shape)),
    }
}

fn files(args: &SourceArgs, path: &Path, kind: Kind) -> Result<Files, Failure> {
    let project = project_if_given(args)?.ok_or_else(no_project)?;
    let name = path.display().to_string();
    let name = name.trim_end_matches('/').to_owned();
    let into = args.into.as_deref().map(into).transpose()?;
    let tree = tree(path, kind)?;
    let acts = units::acts(&tree, &name, into.as_deref(), &schedule(args)?).map_err(Failure::BadInput)?;
    Ok(Files { name, project, acts })
}

fn project_if_given(args: &SourceArgs) -> Result<Option<ProjectName>, Failure> {
    let project = args.project.as_deref().map(ProjectName::new).transpose();
    project.map_err(|error| mistake("--project", error.to_string()))
}

fn mistake(field: &str, message: String) -> Failure {
    Failure::BadInput(Findings::one(Finding {
        path: None,
        line: None,
        field: Some(field.to_owned()),
        message,
    }))
}

fn no_project() -> Failure {
    Failure::Usage("which project? expected --project NAME".into())
}

/// The schedule of sources whose flows are not numbered.
fn schedule(args: &SourceArgs) -> Result<Schedule, Failure> {
    let numbered = |text: &str| text.parse::<Template>().is_ok_and(|template| template.varies());
    match args.cron.as_deref() {
        None => Ok(Schedule::Keep),
        Some("none") => Ok(Schedule::Remove),
        Some(text) if numbered(text) => Err(Failure::Usage(format!(
            "--cron {text:?}: only generated flows (--flows) have a number {{n}}"
        ))),
        // once, and not again for each flow
        Some(text) => match check_cron(text) {
            Ok(()) => Ok(Schedule::Set(text.to_owned())),
            Err(error) => Err(mistake("--cron", format!("{text:?}: {error}"))),
        },
    }
}

fn no_into(args: &SourceArgs, what: &str) -> Result<(), Failure> {
    match args.into {
        None => Ok(()),
        Some(_) => Err(Failure::Usage(format!(
            "--into goes with a folder or a .zip, not with {what}"
        ))),
    }
}

/// A folder of the project: no way out of it, nothing hidden.
fn into(text: &str) -> Result<String, Failure> {
    let folder = text.trim_matches('/');
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains('\\')
            && !part.chars().any(char::is_control)
    };
    if folder.split('/').all(good) {
        Ok(folder.to_owned())
    } else {
        Err(Failure::Usage(format!(
            "--into {text:?}: expected a folder inside the project, for example team-a or teams/a"
        )))
    }
}
