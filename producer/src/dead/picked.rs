//! A set of dead letters: each change once, however often it lies in the queue, as ranges, so that a million take little room.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_common::ranges::RangeSet;
use flowlift_common::{Order, RunId};

/// The set.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    // by rank, then by run: the order of changes
    runs: BTreeMap<(u64, RunId), RangeSet>,
    unread: BTreeSet<u64>,
}

impl Picked {
    /// Adds a change; whether it is new here.
    pub fn add(&mut self, order: Order) -> bool {
        let run = self.runs.entry((order.rank, order.run)).or_default();
        !run.insert(order.seq, order.seq).is_empty()
    }

    /// Adds a body that cannot be read, by its hash; whether it is new here.
    pub fn add_unread(&mut self, hash: u64) -> bool {
        self.unread.insert(hash)
    }

    /// Whether a change is in it.
    #[must_use]
    pub fn has(&self, order: Order) -> bool {
        let run = self.runs.get(&(order.rank, order.run));
        run.is_some_and(|seqs| seqs.contains(order.seq))
    }

    /// Whether a body is in it.
    #[must_use]
    pub fn has_unread(&self, hash: u64) -> bool {
        self.unread.contains(&hash)
    }

    /// How many changes are in it.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.runs.values().map(RangeSet::len).sum()
    }

    /// How many bodies that cannot be read are in it.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.unread.len() as u64
    }

    /// The runs.
    pub fn runs(&self) -> impl Iterator<Item = RunId> + '_ {
        self.runs.keys().map(|(_, run)| *run)
    }

    /// Gives every change a place in a new run, from 1 without gaps, in the order they have: among changes of one flow the
    /// newest stays the newest, whatever order they lie in.
    #[must_use]
    pub fn places(&self) -> Places {
        let (mut next, mut runs) = (1, BTreeMap::new());
        for (key, seqs) in &self.runs {
            let starts: BTreeMap<u64, u64> = seqs
                .iter()
                .map(|(first, last)| {
                    let start = next;
                    next += last - first + 1;
                    (first, start)
                })
                .collect();
            runs.insert(*key, starts);
        }
        Places { runs }
    }
}

/// Places in a new run.
#[derive(Debug, Clone)]
pub struct Places {
    // by first sequence of each range, its new place
    runs: BTreeMap<(u64, RunId), BTreeMap<u64, u64>>,
}

impl Places {
    /// The new place of a change that was picked.
    #[must_use]
    pub fn of(&self, order: Order) -> Option<u64> {
        let starts = self.runs.get(&(order.rank, order.run))?;
        let (first, place) = starts.range(..=order.seq).next_back()?;
        Some(place + (order.seq - first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn order((rank, run, seq): (u64, u128, u64)) -> Order {
        Order {
            rank,
            run: RunId(Uuid::from_u128(run)),
            seq,
        }
    }

    proptest! {
        #[test]
        fn places_follow_the_order_without_gaps(orders in prop::collection::vec((0u64..4, 0u128..4, 1u64..40), 1..200)) {
            let mut picked = Picked::default();
            let mut plain = BTreeSet::new();
            for one in orders {
                prop_assert_eq!(picked.add(order(one)), plain.insert(order(one)));
            }
            prop_assert_eq!(picked.changes(), plain.len() as u64);
            let places = picked.places();
            let given: Vec<Option<u64>> = plain.iter().map(|one| places.of(*one)).collect();
            prop_assert_eq!(given, (1..=plain.len() as u64).map(Some).collect::<Vec<_>>());
            prop_assert!(plain.iter().all(|one| picked.has(*one)));
        }
    }
}
