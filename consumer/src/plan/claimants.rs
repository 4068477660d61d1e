//! The flows that need a file. Mostly it is one, and then it costs no more than its name.

use std::collections::BTreeSet;

/// Lower-case ids of flows, at least one, ascending.
#[derive(Debug)]
pub(super) enum Claimants {
    One(Box<str>),
    More(BTreeSet<Box<str>>),
}

impl Claimants {
    pub(super) fn one(key: &str) -> Self {
        Self::One(key.into())
    }

    pub(super) fn insert(&mut self, key: &str) {
        match self {
            Self::One(one) if **one == *key => {}
            Self::One(one) => *self = Self::More([std::mem::take(one), key.into()].into()),
            Self::More(more) => {
                more.insert(key.into());
            }
        }
    }

    /// Takes one out; `true`: nobody is left.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        match self {
            Self::One(one) => **one == *key,
            Self::More(more) => {
                more.remove(key);
                more.is_empty()
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let (one, more) = match self {
            Self::One(one) => (Some(one), None),
            Self::More(more) => (None, Some(more)),
        };
        one.into_iter()
            .chain(more.into_iter().flatten())
            .map(|key| &**key)
    }
}
