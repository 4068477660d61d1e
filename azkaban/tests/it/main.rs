//! What the crate says about Azkaban, seen from outside: loader, formats, rules and zips.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panic and say when they are skipped"
)]

mod formats;
mod java;
mod load1;
mod load2;
mod project_rules;
mod rules;
mod zips;

use flowlift_azkaban::load::{Load, Loaded, Problem, load};
use flowlift_azkaban::{Flow, FlowName, Job, Tree};

/// A tree of paths and texts.
fn tree(files: &[(&str, &str)]) -> Tree {
    let file = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec().into());
    files.iter().map(file).collect()
}

/// The flows of a project that is accepted.
fn accepted(tree: &Tree) -> Loaded {
    match load(tree) {
        Load::Flows(loaded) => loaded,
        other => panic!("not accepted: {other:?}"),
    }
}

/// The messages of a project that the validator refuses.
fn refused(tree: &Tree) -> Vec<String> {
    match load(tree) {
        Load::Refused(problems) => problems.into_iter().map(|problem| problem.message).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

/// The exception that ends the upload of a project.
fn exception(tree: &Tree) -> Problem {
    match load(tree) {
        Load::Exception(problem) => problem,
        other => panic!("no exception: {other:?}"),
    }
}

/// The names of the listed flows.
fn listed(tree: &Tree) -> Vec<String> {
    accepted(tree).listed().into_iter().map(str::to_owned).collect()
}

fn job(name: &str, needs: &[&str]) -> Job {
    Job {
        name: name.to_owned(),
        kind: "noop".to_owned(),
        props: [].into(),
        depends_on: needs.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn flow(name: &str, jobs: Vec<Job>) -> Flow {
    Flow {
        name: FlowName::new(name).unwrap(),
        jobs,
        props: [].into(),
    }
}
