//! What people did to a project, and what follows from it: the documented rule of how their uploads and ours come together.
//!
//! - What people did not touch is as asked for.
//! - A change asked for after a person's upload landed counts.
//! - What a person changed or removed in a zip made from our latest (our hidden file still in it) stays so.
//! - Where both sides changed a flow without knowing of each other, either may count.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_common::Order;

use super::last::There;
use crate::clock::Ms;
use crate::people::Visit;
use crate::truth::{AskedFor, FlowWanted, Truth};

/// What people did to one project.
pub(super) struct Hand<'t> {
    /// Visits whose upload landed, in that order.
    visits: Vec<(Ms, &'t Visit)>,
    /// Uploads that Azkaban called failed, but made active, or where somebody worked on with what `download` handed out: what
    /// they did may be there or not.
    rejected: Vec<&'t Visit>,
    crons: Vec<(&'t str, &'t str)>,
    deleted_at: Option<Ms>,
    stored: BTreeMap<Order, Ms>,
    /// The flows that changes name, by change.
    by_flow: BTreeMap<String, Vec<&'t AskedFor>>,
    flows: BTreeSet<String>,
}

impl<'t> Hand<'t> {
    /// What they did to this project.
    pub(super) fn of(truth: &'t Truth, key: &'t str, asked: &[&'t AskedFor]) -> Self {
        let mut visits: Vec<(Ms, &Visit)> = (truth.visits.iter())
            .filter(|visit| visit.key == key)
            .filter_map(|visit| Some((visit.landed_at?, visit)))
            .collect();
        visits.sort_by_key(|(at, _)| *at);
        let worked_on = visits.iter().any(|(_, visit)| visit.started_from.is_none());
        let mine = truth
            .visits
            .iter()
            .filter(|visit| visit.key == key && visit.landed_at.is_none());
        let rejected: Vec<&Visit> = mine.filter(|visit| worked_on || visit.half_landed).collect();
        let crons = truth
            .crons_by_hand
            .iter()
            .filter(|(project, _, _)| project == key);
        let mut by_flow: BTreeMap<String, Vec<&AskedFor>> = BTreeMap::new();
        for one in asked {
            for flow in one.change.flows() {
                by_flow.entry(flow.key()).or_default().push(one);
            }
        }
        Self {
            flows: (visits.iter().map(|(_, visit)| *visit))
                .chain(rejected.iter().copied())
                .flat_map(|visit| visit.edits.keys().cloned())
                .collect(),
            visits,
            rejected,
            crons: crons
                .map(|(_, flow, cron)| (flow.as_str(), cron.as_str()))
                .collect(),
            deleted_at: truth.deleted.get(key).copied(),
            stored: asked.iter().map(|one| (one.order, one.stored_at)).collect(),
            by_flow,
        }
    }

    /// Flows that people touched.
    pub(super) fn flows(&self) -> impl Iterator<Item = &String> {
        self.flows.iter()
    }

    /// Whether somebody deleted the project.
    pub(super) fn was_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Whether a flow may be as it is; `asked`: it is as asked for.
    pub(super) fn may_be(&self, flow: &str, one: &FlowWanted, asked: bool, there: &There<'_>) -> bool {
        let stored = one.by.and_then(|by| self.stored.get(&by).copied());
        if let Some(deleted) = self
            .deleted_at
            .filter(|deleted| stored.is_none_or(|stored| stored <= *deleted))
        {
            // what was there went with the project; what came again or was on its way is there again
            let _ = deleted;
            return true;
        }
        let as_edited = |files: &Option<BTreeMap<String, Bytes>>| there.has(flow, files.as_ref());
        let mut rejected = self.rejected.iter().filter_map(|visit| visit.edits.get(flow));
        if rejected.any(as_edited) {
            return true;
        }
        let touched: Vec<&(Ms, &Visit)> = (self.visits.iter())
            .filter(|(_, visit)| visit.edits.contains_key(flow))
            .collect();
        let Some((landed, last)) = touched.last() else {
            return asked || (one.by.is_none() && self.is_leftover(flow, there));
        };
        if stored.is_some_and(|stored| stored > *landed) {
            return asked;
        }
        let edits = |visit: &Visit| visit.edits[flow].clone();
        let knew = |visit: &Visit| {
            let from = visit.started_from.as_ref();
            visit.keeps_manifest && from.is_some_and(|from| from.get(flow).copied() == one.by)
        };
        let nobody_after = self.visits.last().is_some_and(|(at, _)| at == landed);
        if knew(last) && nobody_after && self.visits.len() == 1 {
            return as_edited(&edits(last));
        }
        asked || touched.iter().any(|(_, visit)| as_edited(&edits(visit))) || self.overlapping(flow, there)
    }

    /// With several people, one may have overwritten the other before we came by.
    fn overlapping(&self, flow: &str, there: &There<'_>) -> bool {
        self.visits.len() > 1 && there.has(flow, None)
    }

    /// A flow that nobody asked for: only where a person's zip was made from one that never became active.
    fn is_leftover(&self, flow: &str, there: &There<'_>) -> bool {
        let odd = |(_, visit): &(Ms, &Visit)| visit.started_from.is_none() && visit.there.contains(flow);
        there.has(flow, None) || self.visits.iter().any(odd) || self.by_flow.contains_key(flow)
    }

    /// Whether a flow may have a schedule that no change asked for.
    pub(super) fn may_schedule(&self, flow: &str, cron: Option<&String>) -> bool {
        let by_hand = self
            .crons
            .iter()
            .any(|(other, set)| *other == flow && cron.is_none_or(|cron| cron == set));
        // taken away with the flow, by a person or with the project
        let taken = self
            .visits
            .iter()
            .any(|(_, visit)| visit.edits.contains_key(flow));
        by_hand || (cron.is_none() && (taken || self.was_deleted()))
    }
}
