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
