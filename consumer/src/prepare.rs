//! A batch, planned: the messages' bodies read, their changes on the base, what the heart has to know of it. Pure.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use flowlift_azkaban::ProjectName;
use flowlift_common::envelope::DecodeError;
use flowlift_common::{Change, Envelope, Order, RunId, Seen};

use crate::base::Base;
use crate::plan::{Asked, ChangeId, Changes, Decision, Kind, Plan, format_for, plan};
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

/// A message of a batch, whose body can be read as often as needed.
pub trait Message {
    /// Its receipt.
    fn receipt(&self) -> u64;
    /// Reads the body.
    ///
    /// # Errors
    /// The same each time.
    fn open(&self) -> Result<Envelope, DecodeError>;
    /// Why the content of its changes cannot be had, where that is so; the body then says all but that.
    fn missing(&self) -> Option<&str> {
        None
    }
}

impl Message for Opened {
    fn receipt(&self) -> u64 {
        self.0
    }

    fn open(&self) -> Result<Envelope, DecodeError> {
        self.1.clone()
    }
}

/// Plans messages on a base; `exists`: the project is there, `cancelled`: runs that are to be applied no more.
#[must_use]
pub fn prepare(
    base: &Base,
    exists: bool,
    ask: &PlanAsk,
    messages: &[impl Message],
    seen: &Seen,
    cancelled: &BTreeSet<RunId>,
) -> (Planned, Plan) {
    let mut planned = Planned {
        may_create: !exists,
        ..Planned::default()
    };
    let mut heads: Vec<Head<'_>> = Vec::new();
    for message in messages {
        let receipt = message.receipt();
        match message.open() {
            Ok(envelope) => heads.push(Head::of(receipt, envelope, message.missing())),
            Err(DecodeError::Newer(_)) => planned.newer.push(receipt),
            Err(error @ DecodeError::Unreadable(_)) => planned.unreadable.push((receipt, error.to_string())),
        }
    }
    let mut asked: Vec<Asked<'_>> = heads.iter().flat_map(|head| head.asked(cancelled)).collect();
    let format = format_for(base, &asked);
    asked.retain(|one| !ask.settled.contains(&one.id) && !ask.held_back.contains(&one.id));
    let at_home = |one: &Asked<'_>| exists || one.rules.create || one.kind == Kind::Check || one.cancelled;
    let homeless: Vec<ChangeId> = asked
        .iter()
        .filter(|one| !at_home(one))
        .map(|one| one.id)
        .collect();
    asked.retain(at_home);
    let mut plan = plan(base, format, asked, &Bodies::of(messages), seen);
    let missing = "the project does not exist, and creating it was ruled out";
    planned.decisions = std::mem::take(&mut plan.decisions);
    let dead = homeless
        .into_iter()
        .map(|id| (id, Decision::Dead(missing.into())));
    planned.decisions.extend(dead);
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

/// What is kept of a message while its body is not needed.
struct Head<'m> {
    receipt: u64,
    missing: Option<&'m str>,
    /// Without its changes.
    envelope: Envelope,
    changes: Vec<(u64, Kind)>,
}

impl<'m> Head<'m> {
    fn of(receipt: u64, mut envelope: Envelope, missing: Option<&'m str>) -> Self {
        let changes = std::mem::take(&mut envelope.changes);
        let kind = |change: &Change| (change.seq, Kind::of(change, envelope.rules));
        Self {
            receipt,
            missing,
            changes: changes.iter().map(kind).collect(),
            envelope,
        }
    }

    fn asked(&self, cancelled: &BTreeSet<RunId>) -> impl Iterator<Item = Asked<'_>> {
        let (receipt, envelope) = (self.receipt, &self.envelope);
        let cancelled = cancelled.contains(&envelope.run);
        self.changes.iter().map(move |&(seq, kind)| Asked {
            id: ChangeId { receipt, seq },
            order: Order {
                rank: envelope.rank,
                run: envelope.run,
                seq,
            },
            owner: &envelope.owner,
            rules: envelope.rules,
            cancelled,
            missing: self.missing,
            kind,
        })
    }
}

/// The bodies of a batch. The one read last is kept: changes come in their order, and so mostly message by message.
struct Bodies<'m, M> {
    by_receipt: HashMap<u64, &'m M>,
    last: RefCell<Option<(u64, Envelope)>>,
}

impl<'m, M: Message> Bodies<'m, M> {
    fn of(messages: &'m [M]) -> Self {
        Self {
            by_receipt: messages
                .iter()
                .map(|message| (message.receipt(), message))
                .collect(),
            last: RefCell::new(None),
        }
    }
}

impl<M: Message> Changes for Bodies<'_, M> {
    fn with(&self, id: ChangeId, take: &mut dyn FnMut(&Change)) {
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|(receipt, _)| *receipt != id.receipt) {
            // first, so that two are never there at once
            *last = None;
            let message = self.by_receipt.get(&id.receipt);
            *last = message.and_then(|message| Some((id.receipt, message.open().ok()?)));
        }
        let changes = last.as_ref().map(|(_, envelope)| &envelope.changes);
        let change = changes.and_then(|changes| {
            let at = changes.binary_search_by_key(&id.seq, |change| change.seq);
            changes.get(at.ok()?)
        });
        take(change.expect("a body says each time what it said the first time"));
    }
}

#[cfg(test)]
mod tests {
    use flowlift_azkaban::{FlowName, Format};
    use flowlift_common::envelope::Rules;
    use flowlift_common::{Act, Change, RunId};

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
            deadline_ms: None,
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
            prepare(
                &Base::empty(),
                exists,
                &ask(&[]),
                &messages,
                seen,
                &BTreeSet::new(),
            )
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
                &BTreeSet::new(),
            )
            .1
            .format
        };
        assert_eq!((format(&[]), format(&[1])), (Format::V2, Format::V2));
    }
}
