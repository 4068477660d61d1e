//! The state machine under any order of events: it always comes to an end, and never runs what must not run.

use std::sync::Arc;

use bytes::Bytes;
use flowlift_azkaban::Tree;
use flowlift_azkaban::load::{Load, load};
use proptest::prelude::*;

use crate::exec::engine::{Act, Run};
use crate::exec::options::FailureAction;
use crate::exec::status::Status;
use crate::exec::tree::{self, Node};
use crate::state::flows::Flows;

fn nodes(files: &[(String, String)], flow: &str) -> Vec<Node> {
    let tree: Tree = files
        .iter()
        .map(|(path, text)| (path.clone(), Bytes::from(text.clone())))
        .collect();
    match load(&tree) {
        Load::Flows(loaded) => tree::build(&Flows::new(&loaded), flow).unwrap().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// `j0` is last; each job needs some of those with higher numbers. Every third one runs the flow `sub`.
fn project(needs: &[Vec<usize>]) -> Vec<Node> {
    let mut files = vec![
        ("sub.job".to_owned(), "type=noop\ndependencies=sub_a\n".to_owned()),
        ("sub_a.job".to_owned(), "type=noop\n".to_owned()),
    ];
    for (at, needs) in needs.iter().enumerate() {
        let mut names: Vec<String> = needs
            .iter()
            .map(|step| at + 1 + step)
            .filter(|&other| other < 8)
            .map(|other| format!("j{other}"))
            .collect();
        if at + 1 < 8 {
            names.push(format!("j{}", at + 1));
        }
        let kind = if at % 3 == 2 {
            "flow\nflow.name=sub"
        } else {
            "noop"
        };
        files.push((
            format!("j{at}.job"),
            format!("type={kind}\ndependencies={}\n", names.join(",")),
        ));
    }
    nodes(&files, "j0")
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The running job of this number ends well or badly.
    End(usize, bool),
    Kill,
    Pause,
    Resume,
    Retry,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..4_usize, prop::bool::weighted(0.8)).prop_map(|(at, well)| Step::End(at, well)),
        1 => Just(Step::Kill),
        2 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Retry),
    ];
    proptest::collection::vec(step, 0..40)
}

/// Runs it to its end, first by these steps, then with all that is left ending well.
fn play(mut run: Run, steps: &[Step]) -> Result<Run, TestCaseError> {
    let mut active: Vec<usize> = Vec::new();
    let mut finished = 0;
    run.start(1);
    let rest = std::iter::repeat_n([Step::Resume, Step::End(0, true)], 100).flatten();
    for (now, step) in (2..).zip(steps.iter().copied().chain(rest)) {
        for act in run.acts() {
            match act {
                Act::Start(at) => {
                    let node = &run.nodes[at];
                    let allowed = node
                        .inputs
                        .iter()
                        .all(|&input| run.nodes[input].status.is_succeeded());
                    prop_assert!(allowed, "{} starts too early", node.nested);
                    prop_assert_eq!(node.status, Status::Queued);
                    active.push(at);
                }
                Act::Finish => finished += 1,
                _ => {}
            }
        }
        match step {
            Step::End(at, well) if !active.is_empty() => {
                let job = active.remove(at % active.len());
                let status = if well { Status::Succeeded } else { Status::Failed };
                if run.job_begins(job, now) {
                    run.job_runs(job, now);
                }
                run.job_came_to(job, status, now);
                run.job_ended(job, Arc::default(), now);
            }
            Step::Kill => run.kill_by("ann", now),
            Step::Pause => drop(run.pause("ann", now)),
            Step::Resume => run.resume("ann", now),
            Step::Retry => run.retry_by("ann", now),
            Step::End(..) => {}
        }
    }
    prop_assert_eq!(finished, 1, "it ends once");
    Ok(run)
}

proptest! {
    #[test]
    fn every_execution_comes_to_an_end(
        needs in proptest::collection::vec(proptest::collection::vec(0..3_usize, 0..3), 8),
        steps in steps(),
        action in prop::sample::select(vec![FailureAction::FinishCurrent, FailureAction::CancelAll, FailureAction::FinishPossible]),
        disabled in prop::option::of(1..8_usize),
    ) {
        let mut nodes = project(&needs);
        if let Some(at) = disabled {
            let name = format!("j{at}");
            for node in nodes.iter_mut().filter(|node| node.nested == name) {
                node.status = Status::Disabled;
            }
        }
        let run = play(Run::new(1, nodes, action), &steps)?;
        prop_assert!(run.is_finished());
        // A retry looks at jobs whose dependents run already, after a skipped one: the flow may end before them.
        if steps.iter().any(|step| matches!(step, Step::Retry)) {
            return Ok(());
        }
        let killed = steps.iter().any(|step| matches!(step, Step::Kill)) || action == FailureAction::CancelAll;
        for node in &run.nodes {
            let around = node.parent.map(|parent| run.nodes[parent].status);
            if matches!(around, Some(Status::Skipped | Status::Cancelled)) {
                prop_assert_eq!(node.status, Status::Ready, "{} is in a flow that never began", &node.nested);
                continue;
            }
            prop_assert!(node.status.is_finished(), "{} is {:?}", node.nested, node.status);
            prop_assert!(node.status != Status::Killed || killed, "nobody killed {}", node.nested);
            prop_assert!(node.end_ms >= node.start_ms && node.start_ms > 0, "{}", node.nested);
        }
        let failed = run.nodes.iter().skip(1).any(|node| node.status == Status::Failed);
        if run.flow().status == Status::Succeeded {
            prop_assert!(!failed);
        }
    }
}

#[test]
fn embedded_flows_are_named_by_their_path() {
    let nodes = project(&vec![Vec::new(); 8]);
    let names: Vec<&str> = nodes.iter().map(|node| node.nested.as_str()).collect();
    assert!(
        names.contains(&"j2:sub_a") && names.contains(&"j5:sub"),
        "{names:?}"
    );
    assert_eq!(
        tree::find(&nodes, "j2:sub_a").map(|at| nodes[at].id.as_str()),
        Some("sub_a")
    );
    assert_eq!(tree::find(&nodes, "sub_a"), None);
}
