//! A whole project, as a folder or zip gives it.

use super::{Finding, project1, project2};
use crate::load::{Load, load};
use crate::model::Tree;

/// What is wrong with a project that is to be uploaded as it is: all that Azkaban would refuse, and what it would accept
/// and lose.
#[must_use]
pub fn check_tree(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has_project = tree
        .keys()
        .any(|path| crate::load::files::is_read(name_of(path), ".project"));
    if has_project {
        project2::check(tree, &mut findings);
    } else {
        project1::check(tree, &mut findings);
    }
    if findings.is_empty() {
        findings.extend(refusals(load(tree)));
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The last part of a path.
pub(super) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What the loader refuses, in its words: for what the checks have no better ones.
fn refusals(load: Load) -> Vec<Finding> {
    let problems = match load {
        Load::Flows(_) => Vec::new(),
        Load::Refused(problems) => problems,
        Load::Exception(problem) => vec![problem],
        Load::StackOverflow => {
            let message = "jobs depend on each other in a circle, which crashes Azkaban's upload".to_owned();
            return vec![Finding {
                path: None,
                line: None,
                field: None,
                message,
            }];
        }
    };
    let finding = |problem: crate::load::Problem| Finding {
        path: problem.path,
        line: None,
        field: None,
        message: format!("Azkaban refuses it: {}", problem.message.replace('\n', " ")),
    };
    problems.into_iter().map(finding).collect()
}
