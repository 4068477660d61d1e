//! A set of sequence numbers, kept as ranges: a million settled changes are a handful of numbers.

use std::collections::BTreeMap;

/// A set of `u64`, as inclusive ranges that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    by_first: BTreeMap<u64, u64>,
    len: u64,
}

impl RangeSet {
    /// How many numbers are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `n` is in the set.
    #[must_use]
    pub fn contains(&self, n: u64) -> bool {
        self.by_first
            .range(..=n)
            .next_back()
            .is_some_and(|(_, last)| *last >= n)
    }

    /// Adds `first..=last` and returns the parts that were not in the set before.
    pub fn insert(&mut self, first: u64, last: u64) -> Vec<(u64, u64)> {
        if first > last {
            return Vec::new();
        }
        let (mut from, mut to) = (first, last);
        let mut fresh = Vec::new();
        let mut next = first;
        let begin = self
            .by_first
            .range(..first)
            .next_back()
            .map_or(first, |(start, _)| *start);
        let touched: Vec<(u64, u64)> = self
            .by_first
            .range(begin..=last.saturating_add(1))
            .map(|(start, end)| (*start, *end))
            .filter(|(_, end)| end.saturating_add(1) >= first)
            .collect();
        for (start, end) in touched {
            if start > next {
                fresh.push((next, (start - 1).min(last)));
            }
            next = next.max(end.saturating_add(1));
            from = from.min(start);
            to = to.max(end);
            self.by_first.remove(&start);
        }
        if next <= last {
            fresh.push((next, last));
        }
        self.by_first.insert(from, to);
        self.len += fresh.iter().map(|(start, end)| end - start + 1).sum::<u64>();
        fresh
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.by_first.iter().map(|(first, last)| (*first, *last))
    }
}

impl FromIterator<u64> for RangeSet {
    fn from_iter<T: IntoIterator<Item = u64>>(numbers: T) -> Self {
        let mut set = Self::default();
        for n in numbers {
            set.insert(n, n);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(inserts in prop::collection::vec((0u64..60, 0u64..10), 0..40)) {
            let mut set = RangeSet::default();
            let mut plain = BTreeSet::new();
            for (first, extra) in inserts {
                let fresh: Vec<u64> = set.insert(first, first + extra).into_iter().flat_map(|(a, b)| a..=b).collect();
                let expected: Vec<u64> = (first..=first + extra).filter(|n| plain.insert(*n)).collect();
                prop_assert_eq!(fresh, expected);
            }
            prop_assert_eq!(set.len(), plain.len() as u64);
            prop_assert_eq!(set.iter().flat_map(|(a, b)| a..=b).collect::<Vec<_>>(), plain.iter().copied().collect::<Vec<_>>());
            let ranges: Vec<_> = set.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert!((0..80).all(|n| set.contains(n) == plain.contains(&n)));
        }
    }
}
