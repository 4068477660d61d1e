//! A batch, planned: the messages' bodies read, their changes on the base, what the heart has to know of it. Pure.

use flowlift_azkaban::ProjectName;
use flowlift_common::envelope::DecodeError;
use flowlift_common::{Act, Envelope, Seen};

use crate::base::Base;
use crate::plan::{Asked, ChangeId, Decision, Plan, format_for, plan};
use crate::project::{PlanAsk, Planned};

/// A message's receipt and what its body came to.
pub type Opened = (u64, Result<Envelope, DecodeError>);

/// A body that is for another project than its headers say would be applied to the wrong one.
///
/// # Errors
/// As read, or [`DecodeError::Unreadable`] for such a one.
pub fn for_project(
    opened: Result<Envelope, DecodeError>,
    project: &ProjectName,
) -> Result<Envelope, DecodeError> {
    let envelope = opened?;
    if envelope.project.key() == project.key() {
        return Ok(envelope);
    }
    let other = &envelope.project;
    Err(DecodeError::Unreadable(format!(
        "its headers name project {project}, its body {other}"
    )))
}

/// Plans messages on a base; `exists`: the project is there.
#[must_use]
pub fn prepare(
    base: &Base,
    exists: bool,
    ask: &PlanAsk,
    messages: &[Opened],
    seen: &Seen,
) -> (Planned, Plan) {
    let mut planned = Planned {
        may_create: !exists,
        ..Planned::default()
    };
    let mut all: Vec<Asked<'_>> = Vec::new();
    for (receipt, opened) in messages {
        match opened {
            Ok(envelope) => all.extend(asked(*receipt, envelope)),
            Err(DecodeError::Newer(_)) => planned.newer.push(*receipt),
            Err(error @ DecodeError::Unreadable(_)) => planned.unreadable.push((*receipt, error.to_string())),
        }
    }
    let format = format_for(base, &all);
    all.retain(|one| !ask.settled.contains(&one.id) && !ask.held_back.contains(&one.id));
    let at_home = |one: &Asked<'_>| exists || one.rules.create || one.change.act == Act::Check;
    let (asked, homeless): (Vec<_>, Vec<_>) = all.into_iter().partition(at_home);
    let plan = plan(base, format, &asked, seen);
    let missing = "the project does not exist, and creating it was ruled out";
    let dead = homeless
        .iter()
        .map(|one| (one.id, Decision::Dead(missing.into())));
    planned.decisions = plan.decisions.iter().cloned().chain(dead).collect();
    // one that may still land must find a newer generation when it does
    planned.upload = plan.upload || ask.force || (seen.doubt && exists);
    planned.schedules = !plan.schedules.is_empty();
    planned.flows = plan.expected.len() as u64;
    planned.forbidden = plan.unexplained.first().map(|flow| {
        let count = plan.unexplained.len();
        format!("{count} flows would vanish that no change takes away, for example {flow}")
    });
    (planned, plan)
}

fn asked(receipt: u64, envelope: &Envelope) -> impl Iterator<Item = Asked<'_>> {
    envelope.changes.iter().map(move |change| Asked {
        id: ChangeId {
            receipt,
            seq: change.seq,
        },
        order: envelope.order(change),
        owner: &envelope.owner,
        rules: envelope.rules,
        change,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flowlift_azkaban::{FlowName, Format};
    use flowlift_common::envelope::Rules;
    use flowlift_common::{Change, RunId};

    use super::*;

    fn deletion(seq: u64) -> Envelope {
        Envelope {
            v: 1,
            project: ProjectName::new("p").unwrap(),
            run: RunId(uuid::Uuid::nil()),
            rank: 1,
            owner: String::new(),
            published_ms: 0,
            rules: Rules {
                format: Format::V2,
                ..Rules::default()
            },
            changes: vec![Change {
                seq,
                act: Act::Delete {
                    flow: FlowName::new("f").unwrap(),
                },
            }],
        }
    }

    fn ask(held_back: &[u64]) -> PlanAsk {
        let id = |seq: &u64| ChangeId {
            receipt: *seq,
            seq: *seq,
        };
        PlanAsk {
            receipts: vec![1],
            settled: BTreeSet::new(),
            held_back: held_back.iter().map(id).collect(),
            force: false,
        }
    }

    #[test]
    fn after_an_upload_that_was_given_up_the_next_one_is_made_even_if_it_changes_nothing() {
        let messages = [(1, Ok(deletion(1)))];
        let upload = |exists: bool, seen: &Seen| {
            prepare(&Base::empty(), exists, &ask(&[]), &messages, seen)
                .0
                .upload
        };
        assert!(upload(true, &Seen::of_doubt()));
        assert!(!upload(true, &Seen::default()));
        assert!(!upload(false, &Seen::of_doubt()), "a project is not made for it");
    }

    #[test]
    fn what_is_left_out_for_a_while_decides_the_format_of_a_new_project_all_the_same() {
        let messages = [(1, Ok(deletion(1)))];
        let format = |held_back: &[u64]| {
            prepare(
                &Base::empty(),
                false,
                &ask(held_back),
                &messages,
                &Seen::default(),
            )
            .1
            .format
        };
        assert_eq!((format(&[]), format(&[1])), (Format::V2, Format::V2));
    }
}
