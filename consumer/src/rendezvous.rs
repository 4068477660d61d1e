//! Which consumer a shard belongs to: the one with the highest weight for it (rendezvous hashing).
//!
//! The weight is a consumer's priority on the shard's queue, so the broker itself hands each shard to its winner, and no
//! consumer has to know the others. One that joins takes shards from all, one that leaves gives its own to all; no shard
//! moves between two others. Weights come from the names alone, so every program and version computes the same.

use xxhash_rust::xxh3::xxh3_64;

/// The priority of a consumer on the queue of a shard: 31 bits, because RabbitMQ takes a signed integer.
#[must_use]
pub fn weight(consumer: &str, shard: u16) -> i32 {
    let mut key = Vec::with_capacity(consumer.len() + 3);
    key.extend_from_slice(consumer.as_bytes());
    // no name contains this byte, so no two pairs of name and shard make the same key
    key.push(0);
    key.extend_from_slice(&shard.to_le_bytes());
    i32::try_from(xxh3_64(&key) >> 33).unwrap_or(i32::MAX)
}

/// The consumer among `names` to which the broker gives the shard; between equal weights the first name wins.
#[must_use]
pub fn winner<'a>(names: impl Iterator<Item = &'a str>, shard: u16) -> Option<&'a str> {
    names.max_by(|a, b| weight(a, shard).cmp(&weight(b, shard)).then_with(|| b.cmp(a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const SHARDS: u16 = 256;

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|n| format!("night-{n}")).collect()
    }

    fn owners(names: &[String]) -> Vec<&str> {
        (0..SHARDS)
            .map(|shard| winner(names.iter().map(String::as_str), shard).unwrap())
            .collect()
    }

    #[test]
    fn weights_never_change() {
        let weights = [("night-1", 0), ("night-1", 1), ("night-2", 0), ("ä", 255)]
            .map(|(name, shard)| weight(name, shard));
        assert_eq!(
            weights,
            [318_915_911, 1_423_236_245, 1_535_295_832, 1_486_622_819],
            "consumers of two versions would disagree"
        );
    }

    #[test]
    fn two_to_eight_consumers_share_the_shards_within_half_of_a_fair_share() {
        for count in 2..=8 {
            let names = names(count);
            let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
            for owner in owners(&names) {
                *shares.entry(owner).or_default() += 1;
            }
            let fair = usize::from(SHARDS) / count;
            assert_eq!(shares.len(), count);
            for (name, share) in shares {
                assert!(
                    share * 2 >= fair && share * 2 <= fair * 3,
                    "{name} holds {share} of {SHARDS} shards, fair among {count} is {fair}"
                );
            }
        }
    }

    #[test]
    fn who_joins_takes_shards_and_moves_none_between_others() {
        for count in 1..8 {
            let (before, after) = (names(count), names(count + 1));
            let joiner = after.last().unwrap().as_str();
            let moved = owners(&before)
                .into_iter()
                .zip(owners(&after))
                .filter(|(old, new)| old != new)
                .inspect(|(_, new)| assert_eq!(*new, joiner))
                .count();
            assert!(moved > 0);
        }
    }

    #[test]
    fn the_order_of_names_does_not_matter_and_nobody_wins_among_none() {
        let (forward, mut backward) = (names(5), names(5));
        backward.reverse();
        assert_eq!(owners(&forward), owners(&backward));
        assert_eq!(winner(std::iter::empty(), 3), None);
    }
}
