//! The flows of one project in little memory: what the calls that read flows need, and nothing else.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use flowlift_azkaban::load::{self, Loaded};
use flowlift_azkaban::name::fold;

use crate::state::emails::Emails;
use crate::wire::java::hash_order;

/// All flows of a project's active version, in Java's hash order.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    flows: Box<[Flow]>,
    /// Positions in `flows`, sorted by id.
    by_id: Box<[u32]>,
}

/// One flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) id: Box<str>,
    /// Stored, but not listed.
    pub(crate) embedded: bool,
    /// Whom it writes to; mostly to nobody.
    pub(crate) emails: Option<Box<Emails>>,
    /// Sorted by id.
    pub(crate) nodes: Box<[Node]>,
}

/// One job of a flow.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: Box<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) level: u32,
    /// Positions of the nodes it depends on, in order of their ids.
    pub(crate) inputs: Box<[u32]>,
    pub(crate) condition: Option<Box<str>>,
    pub(crate) embedded: Option<Box<str>>,
    pub(crate) source: Box<str>,
    pub(crate) props: Props,
    /// Properties of the files and flows around it, shared by all jobs that inherit the same.
    pub(crate) inherited: Option<Arc<Props>>,
}

/// Texts and properties that many jobs have in common, kept once.
#[derive(Default)]
struct Shared {
    kinds: HashMap<String, Arc<str>>,
    inherited: HashMap<Props, Arc<Props>>,
}

impl Shared {
    fn kind(&mut self, kind: &str) -> Arc<str> {
        let kept = self.kinds.entry(kind.to_owned());
        Arc::clone(kept.or_insert_with(|| kind.into()))
    }

    /// What a job has beyond its own properties.
    fn inherited(&mut self, node: &load::Node) -> Option<Arc<Props>> {
        if node.props.len() == node.own_props.len() {
            return None;
        }
        let beyond = node
            .props
            .iter()
            .filter(|(name, _)| !node.own_props.contains_key(*name));
        let beyond = Props::new(beyond);
        let kept = self.inherited.entry(beyond.clone());
        Some(Arc::clone(kept.or_insert_with(|| Arc::new(beyond))))
    }
}

impl Flows {
    /// Takes over what the loader found.
    pub(crate) fn new(loaded: &Loaded) -> Self {
        let mut shared = Shared::default();
        let listed = loaded.flows.iter().map(|(id, flow)| (id, flow, false));
        let mut all: Vec<_> = listed
            .chain(loaded.embedded.iter().map(|(id, flow)| (id, flow, true)))
            .collect();
        // Within a bucket the order is that in which the file system listed the files; `fa` before `FA` was seen.
        all.sort_by_cached_key(|(id, _, _)| (fold(id), Reverse((*id).clone())));
        let mut flows: Vec<Flow> = all
            .into_iter()
            .map(|(id, flow, embedded)| Flow::new(id, flow, embedded, &mut shared))
            .collect();
        hash_order(&mut flows, |flow| &flow.id);
        let mut by_id: Vec<u32> = (0..).take(flows.len()).collect();
        by_id.sort_unstable_by(|&a, &b| flows[a as usize].id.cmp(&flows[b as usize].id));
        Self {
            flows: flows.into(),
            by_id: by_id.into(),
        }
    }

    /// A flow by its exact id; embedded ones too.
    pub(crate) fn get(&self, id: &str) -> Option<&Flow> {
        let at = self
            .by_id
            .binary_search_by(|&at| (*self.flows[at as usize].id).cmp(id))
            .ok()?;
        Some(&self.flows[self.by_id[at] as usize])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter()
    }

    /// How many flows are listed.
    pub(crate) fn listed(&self) -> usize {
        self.flows.iter().filter(|flow| !flow.embedded).count()
    }
}

impl Flow {
    fn new(id: &str, flow: &load::LoadedFlow, embedded: bool, shared: &mut Shared) -> Self {
        let at: HashMap<&str, u32> = flow.nodes.iter().map(|node| node.id.as_str()).zip(0..).collect();
        let mut node = |node: &load::Node| Node {
            id: node.id.as_str().into(),
            kind: shared.kind(&node.kind),
            level: u32::try_from(node.level).unwrap_or(u32::MAX),
            inputs: node
                .depends_on
                .iter()
                .filter_map(|id| at.get(id.as_str()).copied())
                .collect(),
            condition: node.condition.as_deref().map(Into::into),
            embedded: node.embedded.as_deref().map(Into::into),
            source: node.source.as_str().into(),
            props: Props::new(node.own_props.iter()),
            inherited: shared.inherited(node),
        };
        Self {
            id: id.into(),
            embedded,
            emails: Emails::of(id, flow),
            nodes: flow.nodes.iter().map(&mut node).collect(),
        }
    }

    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| *node.id == *id)
    }
}

/// A job's own properties, packed into one text: names and values in turn, cut at `ends`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Props {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl Props {
    fn new<'a>(props: impl Iterator<Item = (&'a String, &'a String)>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for part in props.flat_map(|(name, value)| [name, value]) {
            text.push_str(part);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self {
            text: text.into(),
            ends: ends.into(),
        }
    }

    /// Names and values, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (String, String)> {
        let mut start = 0;
        let mut next = move |end: u32| {
            let part = self.text.get(start..end as usize).unwrap_or_default().to_owned();
            start = end as usize;
            part
        };
        self.ends
            .chunks_exact(2)
            .map(move |pair| (next(pair[0]), next(pair[1])))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn packed_properties_are_read_back() {
        let props = [("command", "echo ä"), ("empty", ""), ("type", "command")];
        let props: BTreeMap<_, _> = props
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let packed = Props::new(props.iter());
        assert_eq!(packed.iter().collect::<BTreeMap<_, _>>(), props);
    }
}
