//! What stands in deploy/ for people who watch: dashboards, rules and alerts, and the runbook, checked against each other and
//! against what the programs really tell.

#![cfg(test)]

mod dashboards;
mod names;
mod promql;
mod rules;

use std::path::{Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
