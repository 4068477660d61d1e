//! Which calls bring a project's schedules to what is wanted. Pure.

use std::collections::BTreeMap;

use flowlift_azkaban::client::ScheduleId;
use flowlift_azkaban::name::fold;

use crate::plan::{ChangeId, ScheduleStep, Wish};

/// A project's schedules: by lower-case flow id the expression and the numbers. Two first calls at the same time can give a
/// flow two of them (azkaban-api.md, 1.8).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing(BTreeMap<String, Vec<(String, ScheduleId)>>);

/// Flows (lower-case) whose schedule Azkaban refuses: for whom, and its words.
pub type Refused = BTreeMap<String, (Option<ChangeId>, String)>;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Set this expression.
    Set {
        /// For the step with this place.
        step: usize,
        /// The Quartz expression.
        cron: String,
    },
    /// Remove this one.
    Remove {
        /// For the step with this place.
        step: usize,
        /// Its number.
        id: ScheduleId,
    },
}

impl Standing {
    /// As listed: flow, expression, number.
    #[must_use]
    pub fn of(listed: impl IntoIterator<Item = (String, String, ScheduleId)>) -> Self {
        let mut all: BTreeMap<String, Vec<(String, ScheduleId)>> = BTreeMap::new();
        for (flow, cron, id) in listed {
            all.entry(fold(&flow)).or_default().push((cron, id));
        }
        Self(all)
    }

    fn at(&self, flow: &str) -> &[(String, ScheduleId)] {
        self.0.get(&fold(flow)).map_or(&[], Vec::as_slice)
    }
}

/// The calls, in the order of the steps.
#[must_use]
pub fn calls(steps: &[ScheduleStep], there: &Standing) -> Vec<Call> {
    let mut calls = Vec::new();
    for (step, ScheduleStep { flow, wish, .. }) in steps.iter().enumerate() {
        let now = there.at(flow);
        match wish {
            Wish::Remove => calls.extend(now.iter().map(|(_, id)| Call::Remove { step, id: *id })),
            Wish::Restore(_) if !now.is_empty() => {}
            Wish::Set(cron) | Wish::Restore(cron) => {
                calls.extend(now.iter().skip(1).map(|(_, id)| Call::Remove { step, id: *id }));
                if now.first().is_none_or(|(is, _)| is != cron) {
                    let cron = cron.clone();
                    calls.push(Call::Set { step, cron });
                }
            }
        }
    }
    calls
}

/// The steps after Azkaban refused some: what older changes of the batch wished for these flows counts then.
#[must_use]
pub fn otherwise(steps: &[ScheduleStep], refused: &Refused) -> Vec<ScheduleStep> {
    let mut steps = steps.to_vec();
    steps.retain_mut(|step| {
        if !refused.contains_key(&fold(&step.flow)) {
            return true;
        }
        let next = step.before.pop();
        next.map(|wish| step.wish = wish).is_some()
    });
    steps
}

/// The flows whose schedules are not as wished.
#[must_use]
pub fn differing<'s>(steps: &'s [ScheduleStep], there: &Standing) -> Vec<&'s str> {
    let differs = |step: &&ScheduleStep| {
        let now = there.at(&step.flow);
        let as_wished = match &step.wish {
            Wish::Remove => now.is_empty(),
            Wish::Restore(_) => !now.is_empty(),
            Wish::Set(cron) => matches!(now, [(is, _)] if is == cron),
        };
        !as_wished
    };
    steps
        .iter()
        .filter(differs)
        .map(|step| step.flow.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(flow: &str, wish: Wish) -> ScheduleStep {
        ScheduleStep {
            id: None,
            flow: flow.into(),
            wish,
            before: vec![],
        }
    }

    fn standing(listed: &[(&str, &str, i64)]) -> Standing {
        let one =
            |(flow, cron, id): &(&str, &str, i64)| ((*flow).to_owned(), (*cron).to_owned(), ScheduleId(*id));
        Standing::of(listed.iter().map(one))
    }

    #[test]
    fn only_what_differs_is_called_and_a_second_schedule_goes() {
        let there = standing(&[("A", "x", 1), ("b", "x", 2), ("b", "y", 3), ("c", "x", 4)]);
        let steps = [
            step("a", Wish::Set("x".into())),
            step("b", Wish::Set("z".into())),
            step("c", Wish::Remove),
            step("d", Wish::Set("x".into())),
        ];
        let remove = |step, id| Call::Remove {
            step,
            id: ScheduleId(id),
        };
        let set = |step, cron: &str| Call::Set {
            step,
            cron: cron.into(),
        };
        assert_eq!(
            calls(&steps, &there),
            [remove(1, 3), set(1, "z"), remove(2, 4), set(3, "x")]
        );
        assert_eq!(differing(&steps, &there), ["b", "c", "d"]);
        let done = standing(&[("a", "x", 1), ("b", "z", 2), ("d", "x", 5)]);
        assert!(differing(&steps, &done).is_empty());
    }

    #[test]
    fn where_azkaban_refuses_an_expression_the_wish_before_it_counts() {
        let mut steps = vec![
            step("a", Wish::Set("bad".into())),
            step("b", Wish::Set("bad".into())),
        ];
        steps[0].before = vec![Wish::Set("x".into()), Wish::Remove];
        let refused = ["a", "b"].map(|flow| (flow.to_owned(), (None, String::new())));
        let left = otherwise(&steps, &refused.into());
        assert_eq!(left.len(), 1);
        assert_eq!((&left[0].wish, left[0].before.len()), (&Wish::Remove, 1));
        assert_eq!(calls(&left, &standing(&[("a", "x", 1)])).len(), 1);
    }

    #[test]
    fn what_somebody_set_meanwhile_is_not_restored_over() {
        let steps = [step("a", Wish::Restore("x".into()))];
        assert!(calls(&steps, &standing(&[("a", "y", 1)])).is_empty());
        assert_eq!(calls(&steps, &Standing::default()).len(), 1);
        assert_eq!(differing(&steps, &Standing::default()), ["a"]);
    }
}
