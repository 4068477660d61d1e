//! What a project's next upload has to know, and no manifest tells yet: what changes came to that needed none, and whether
//! an upload is on its way that nobody waits for any more.
//!
//! A change that finds everything as it wants is final without an upload, and yet an older one that comes later must not undo
//! it. Until the project's next upload writes the manifest anew, this is remembered in the stream of attempts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::manifest::{Manifest, PatternEntry};
use crate::order::Order;

/// Orders that stand in no manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By lower-case flow id; also of flows that are not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flows: BTreeMap<String, SeenFlow>,
    /// By path; also of files that are not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Order>,
    /// Deletions by pattern that found nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<PatternEntry>,
    /// An upload was given up that may still land. It must not find a project that nobody has written to since: it would be
    /// taken for the newest. So the next batch uploads, even if it changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubt: bool,
}

/// The newest change of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFlow {
    /// Its place.
    #[serde(flatten)]
    pub order: Order,
    /// The flow's schedule after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The change that set or removed the schedule last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron_at: Option<Order>,
    /// The oldest change known by which its owner has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_at: Option<Order>,
}

impl Seen {
    /// An upload that may still land was given up.
    #[must_use]
    pub fn of_doubt() -> Self {
        Self {
            doubt: true,
            ..Self::default()
        }
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.files.is_empty() && self.patterns.is_empty() && !self.doubt
    }

    /// Takes in what another one remembers; the newest counts.
    pub fn merge(&mut self, other: Self) {
        for (key, seen) in other.flows {
            match self.flows.entry(key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(seen);
                }
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.order = known.order.max(seen.order);
                    if known.cron_at < seen.cron_at {
                        (known.cron, known.cron_at) = (seen.cron, seen.cron_at);
                    }
                    known.owned_at = earlier(known.owned_at, seen.owned_at);
                }
            }
        }
        for (path, order) in other.files {
            let known = self.files.entry(path).or_insert(order);
            *known = (*known).max(order);
        }
        for pattern in other.patterns {
            if !self.patterns.iter().any(|known| known.order == pattern.order) {
                self.patterns.push(pattern);
            }
        }
        self.doubt |= other.doubt;
    }

    /// Brings a manifest up to date.
    pub fn tell(&self, manifest: &mut Manifest) {
        for (key, seen) in &self.flows {
            match manifest.flows.get_mut(key) {
                Some(entry) => {
                    entry.order = entry.order.max(seen.order);
                    if entry.cron_at < seen.cron_at {
                        (entry.cron, entry.cron_at) = (seen.cron.clone(), seen.cron_at);
                    }
                    if entry.owned_at.is_some() {
                        entry.owned_at = earlier(entry.owned_at, seen.owned_at);
                    }
                }
                None => raise(&mut manifest.gone_flows, key, seen.order),
            }
        }
        for (path, order) in &self.files {
            match manifest.files.get_mut(path) {
                Some(entry) => entry.order = entry.order.max(*order),
                None => raise(&mut manifest.gone_files, path, *order),
            }
        }
        for pattern in &self.patterns {
            if !manifest
                .gone_patterns
                .iter()
                .any(|known| known.order == pattern.order)
            {
                manifest.gone_patterns.push(pattern.clone());
            }
        }
        manifest.gone_patterns.sort_by_key(|gone| gone.order);
    }
}

/// The earlier of two, as far as they are known.
fn earlier(one: Option<Order>, other: Option<Order>) -> Option<Order> {
    one.into_iter().chain(other).min()
}

fn raise(gone: &mut BTreeMap<String, Order>, key: &str, order: Order) {
    let known = gone.entry(key.to_owned()).or_insert(order);
    *known = (*known).max(order);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::FlowEntry;
    use crate::order::RunId;
    use flowlift_azkaban::{FlowName, Format};

    fn order(seq: u64) -> Order {
        Order {
            rank: 1,
            run: RunId(uuid::Uuid::nil()),
            seq,
        }
    }

    fn seen(key: &str, seq: u64, cron: &str) -> Seen {
        let flow = SeenFlow {
            order: order(seq),
            cron: Some(cron.into()),
            cron_at: Some(order(seq)),
            owned_at: None,
        };
        Seen {
            flows: BTreeMap::from([(key.to_owned(), flow)]),
            ..Seen::default()
        }
    }

    #[test]
    fn the_newest_counts_whatever_comes_first() {
        let (mut one, mut other) = (seen("f", 2, "new"), seen("f", 1, "old"));
        one.merge(seen("f", 1, "old"));
        other.merge(seen("f", 2, "new"));
        assert_eq!((one.clone(), one), (other, seen("f", 2, "new")));
    }

    #[test]
    fn a_manifest_learns_orders_and_schedules_and_what_is_gone() {
        let mut manifest = Manifest::empty(Format::V1);
        let entry = FlowEntry {
            name: FlowName::new("F").unwrap(),
            order: order(3),
            owner: String::new(),
            owned_at: None,
            cron: None,
            cron_at: None,
        };
        manifest.flows.insert("f".into(), entry);
        let mut news = seen("f", 5, "0 0 3 ? * *");
        news.merge(seen("g", 6, "x"));
        news.tell(&mut manifest);
        assert_eq!(
            (manifest.flows["f"].order, manifest.flows["f"].cron.as_deref()),
            (order(5), Some("0 0 3 ? * *"))
        );
        assert_eq!(manifest.gone_flows["g"], order(6));
        seen("f", 4, "older").tell(&mut manifest);
        assert_eq!(manifest.flows["f"].order, order(5));
    }
}
