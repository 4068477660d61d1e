//! Finds the change that makes Azkaban refuse a batch when its words name none: the last of the shortest prefix that is
//! refused. A prefix that is taken has landed, so the search costs about log2(n) uploads per culprit and loses none.

use crate::plan::ChangeId;

/// A search under way: suspects in ascending order, of which a prefix is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    suspects: Vec<ChangeId>,
    /// All other changes of the batch. They stay out until the search ends: one that a suspect had superseded, or made
    /// impossible, would take its place unseen.
    others: Vec<ChangeId>,
    /// The first `bad` suspects together are refused.
    bad: usize,
    /// Azkaban took the project without any suspect, as far as is known.
    base_good: bool,
    probing_base: bool,
    text: String,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Upload with this many of the suspects.
    Try(usize),
    /// Upload the project as it is, without any.
    TryBase,
    /// This one it is, and Azkaban's words.
    Convict(ChangeId, String),
    /// Azkaban refuses even the unchanged project: nobody is to blame.
    BaseRefused(String),
}

impl Search {
    pub(super) fn new(suspects: Vec<ChangeId>, others: Vec<ChangeId>, text: String) -> Self {
        let bad = suspects.len();
        Self {
            suspects,
            others,
            bad,
            base_good: false,
            probing_base: false,
            text,
        }
    }

    /// The changes that stay out of the next try.
    pub(super) fn held_back(&self) -> impl Iterator<Item = ChangeId> + '_ {
        self.suspects[self.tried()..].iter().chain(&self.others).copied()
    }

    /// Whether the next try is the unchanged project.
    pub(super) fn is_base_probe(&self) -> bool {
        self.probing_base
    }

    fn tried(&self) -> usize {
        if self.probing_base { 0 } else { self.bad / 2 }
    }

    /// What follows from all that is known.
    pub(super) fn next(&mut self) -> Next {
        match self.bad {
            0 => Next::BaseRefused(self.text.clone()),
            1 if self.base_good => Next::Convict(self.suspects[0], self.text.clone()),
            1 => {
                self.probing_base = true;
                Next::TryBase
            }
            bad => Next::Try(bad / 2),
        }
    }

    /// The try was refused.
    pub(super) fn refused(&mut self, text: String) {
        self.text = text;
        self.bad = self.tried();
        self.probing_base = false;
    }

    /// The try was taken, or Azkaban had all of it already: those in it are cleared.
    pub(super) fn landed(&mut self) {
        let cleared = self.tried();
        self.suspects.drain(..cleared);
        self.bad -= cleared;
        self.base_good = true;
        self.probing_base = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(seq: u64) -> ChangeId {
        ChangeId { receipt: 1, seq }
    }

    /// Plays a search against a server that refuses any upload with a bad change; returns convicted and uploads used.
    fn play(n: u64, bad: &[u64]) -> (Vec<u64>, usize) {
        let mut open: Vec<u64> = (1..=n).collect();
        let (mut convicted, mut uploads) = (Vec::new(), 0);
        while !open.is_empty() {
            uploads += 1;
            if !open.iter().any(|seq| bad.contains(seq)) {
                break;
            }
            let mut search = Search::new(open.iter().map(|seq| id(*seq)).collect(), vec![], "no".into());
            loop {
                match search.next() {
                    Next::Convict(culprit, _) => {
                        convicted.push(culprit.seq);
                        open.retain(|seq| *seq != culprit.seq);
                        break;
                    }
                    Next::BaseRefused(_) => panic!("the base is good"),
                    Next::Try(_) | Next::TryBase => {
                        uploads += 1;
                        let out: Vec<u64> = search.held_back().map(|id| id.seq).collect();
                        let tried: Vec<u64> = open.iter().copied().filter(|seq| !out.contains(seq)).collect();
                        if tried.iter().any(|seq| bad.contains(seq)) {
                            search.refused("no".into());
                        } else {
                            search.landed();
                            open.retain(|seq| !tried.contains(seq));
                        }
                    }
                }
            }
        }
        (convicted, uploads)
    }

    proptest! {
        #[test]
        fn exactly_the_bad_ones_are_convicted(n in 1u64..200, bad in prop::collection::btree_set(1u64..200, 0..5)) {
            let bad: Vec<u64> = bad.into_iter().filter(|seq| *seq <= n).collect();
            prop_assert_eq!(play(n, &bad).0, bad);
        }
    }

    #[test]
    fn three_bad_ones_in_a_thousand_cost_about_three_times_log2() {
        let (convicted, uploads) = play(1_000, &[17, 500, 999]);
        assert_eq!(convicted, [17, 500, 999]);
        assert!(uploads <= 3 * 12 + 1, "{uploads}");
    }

    #[test]
    fn nobody_is_convicted_when_even_the_base_is_refused() {
        let mut search = Search::new(vec![id(1)], vec![id(7)], "no".into());
        assert_eq!(search.next(), Next::TryBase);
        assert_eq!(search.held_back().collect::<Vec<_>>(), [id(1), id(7)]);
        search.refused("no".into());
        assert_eq!(search.next(), Next::BaseRefused("no".into()));
    }
}
