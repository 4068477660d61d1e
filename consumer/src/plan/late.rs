//! A change that comes late: newer ones have brought or deleted its flow. Its content counts no more, but what it says of the
//! schedule may: newer changes that say nothing of it kept it as it was.
//!
//! The rule: of all that set or ended a flow's schedule, the highest in the order counts, whatever came when. A deletion ends
//! it, by name or by pattern. An older change has a say where the flow is its owner's or nobody's, or was nobody's then.

use flowlift_azkaban::FlowName;
use flowlift_azkaban::name::fold;
use flowlift_common::seen::SeenFlow;
use flowlift_common::{Order, Pattern, Schedule};
use glob_match::glob_match;

use super::draft::Draft;
use super::{Asked, ChangeId, Decision, Wish};

impl Draft<'_> {
    /// Where a change stands to what is known of a flow: `None`: it is newer.
    pub(super) fn late(&self, key: &str, one: &Asked<'_>) -> Result<Option<Decision>, String> {
        let known = self.newest(key);
        if let Some(known) = known.filter(|known| *known >= one.order) {
            let same = known == one.order;
            return Ok(Some(if same {
                Decision::Unchanged
            } else {
                Decision::Superseded
            }));
        }
        // also where an older change of the flow is known: the pattern found nothing to delete then
        if self.ended(key, one).is_some() {
            return Ok(Some(Decision::Superseded));
        }
        match known {
            Some(_) => Ok(None),
            None => too_old(self.manifest.floor, one.order),
        }
    }

    /// The newest deletion by a pattern that a change's owner asked for after it.
    fn ended(&self, key: &str, one: &Asked<'_>) -> Option<Order> {
        let gone =
            self.manifest.gone_patterns.iter().filter(|gone| {
                gone.order > one.order && gone.owner == one.owner && matches(&gone.pattern, key)
            });
        gone.map(|gone| gone.order).max()
    }

    /// A put of a flow that newer changes have brought or deleted.
    pub(super) fn put_late(&mut self, one: &Asked<'_>, flow: &FlowName, schedule: &Schedule) {
        let key = &flow.key();
        if self.newest(key) < Some(one.order) {
            let may = self.may_take(flow, one).is_ok();
            return self.end_with_pattern(one, key, may);
        }
        let Some(entry) = self.manifest.flows.get_mut(key) else {
            return;
        };
        let adopts = entry.owner == one.owner || !entry.owner.is_empty() || one.rules.adopt;
        if entry.owner == one.owner && entry.owned_at > Some(one.order) {
            entry.owned_at = Some(one.order);
            self.remember(key);
        }
        if let Some(wish) = Wish::of(schedule).filter(|_| adopts) {
            self.wish_late(one, key, wish);
        }
        self.end_by_patterns(one.id, key);
    }

    /// A deletion of a flow that newer changes have brought: what it had of a schedule before went with it.
    pub(super) fn deleted_late(&mut self, one: &Asked<'_>, key: &str) {
        if self.newest(key) < Some(one.order) {
            let owner = self.manifest.flows.get(key).map_or("", |entry| &entry.owner);
            let may = owner.is_empty() || owner == one.owner;
            return self.end_with_pattern(one, key, may);
        }
        self.wish_late(one, key, Wish::Remove);
    }

    /// A change that a deletion by pattern ended before it came: that passed over the flow, for nobody owned it. It goes now, as
    /// it would have with the one or the other.
    fn end_with_pattern(&mut self, one: &Asked<'_>, key: &str, may: bool) {
        if let Some(ended) = self
            .ended(key, one)
            .filter(|_| may && self.flows.contains_key(key))
        {
            self.begin(one);
            self.gone(one.id, ended, key);
        }
    }

    /// A deletion by pattern, and the flows that newer changes have brought.
    pub(super) fn ended_late(&mut self, one: &Asked<'_>, pattern: &Pattern) {
        let entries = self.manifest.flows.iter();
        let newer: Vec<String> = entries
            .filter(|(key, entry)| entry.order > one.order && matches(pattern, key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in newer {
            self.end_by_patterns(one.id, &key);
            // ended already, but Azkaban may not have been told
            if self.manifest.flows[&key].cron_at == Some(one.order) {
                self.wish(&key, one.id, Wish::Remove);
            }
        }
    }

    fn wish_late(&mut self, one: &Asked<'_>, key: &str, wish: Wish) {
        let Some(entry) = self.manifest.flows.get_mut(key) else {
            return;
        };
        // what is applied already may still have to be set: whoever owns the flow by now
        if entry.cron_at != Some(one.order) {
            let nobodys_then = one.owner.is_empty() && entry.owner_at(one.order).is_empty();
            let may = entry.owner == one.owner || entry.owner.is_empty() || nobodys_then;
            if !may || entry.cron_at > Some(one.order) {
                return;
            }
            (entry.cron, entry.cron_at) = (wish.cron(), Some(one.order));
            self.remember(key);
        }
        self.wish(key, one.id, wish);
    }

    /// Deletions by pattern that a flow went through before it was brought anew, of whoever had it then.
    fn end_by_patterns(&mut self, by: ChangeId, key: &str) {
        let Some(entry) = self.manifest.flows.get_mut(key) else {
            return;
        };
        let gone = self.manifest.gone_patterns.iter().filter(|gone| {
            gone.order < entry.order
                && gone.owner == entry.owner_at(gone.order)
                && matches(&gone.pattern, key)
        });
        let ended = gone.map(|gone| gone.order).max();
        if entry.cron.is_some() && entry.cron_at < ended {
            (entry.cron, entry.cron_at) = (None, ended);
            self.wish(key, by, Wish::Remove);
            self.remember(key);
        }
    }

    /// Notes what is known of a flow now, in case that nothing is uploaded.
    pub(super) fn remember(&mut self, key: &str) {
        if let Some(entry) = self.manifest.flows.get(key) {
            let seen = SeenFlow {
                order: entry.order,
                cron: entry.cron.clone(),
                cron_at: entry.cron_at,
                owned_at: entry.owned_at,
            };
            self.fresh.flows.insert(key.to_owned(), seen);
        }
    }
}

/// Whether a pattern means a flow.
pub(super) fn matches(pattern: &Pattern, key: &str) -> bool {
    glob_match(&fold(&pattern.glob), key) && !pattern.except.iter().any(|flow| flow.key() == key)
}

/// What is below the floor cannot be ordered any more.
pub(super) fn too_old(floor: Option<Order>, order: Order) -> Result<Option<Decision>, String> {
    match floor {
        Some(floor) if order <= floor => {
            Err("it is too old to be ordered: what came after it is no longer remembered".into())
        }
        _ => Ok(None),
    }
}
