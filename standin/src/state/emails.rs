//! Whom a flow writes to when it has ended, as its properties say (pure).

use flowlift_azkaban::load::LoadedFlow;

use crate::wire::java::hash_order;

/// Addresses in lower case, in Java's hash order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Emails {
    pub(crate) success: Vec<String>,
    pub(crate) failure: Vec<String>,
}

impl Emails {
    /// Flow 1.0: as the last job says, or the files around it. Flow 2.0: as the flow's own config says.
    pub(crate) fn of(id: &str, flow: &LoadedFlow) -> Option<Box<Self>> {
        let listed = |name: &str| addresses(property(id, flow, name).unwrap_or_default());
        let both = listed("notify.emails");
        let with_both = |mut list: Vec<String>| {
            list.extend(both.iter().cloned());
            list.sort();
            list.dedup();
            hash_order(&mut list, |address| address);
            list
        };
        let emails = Self {
            success: with_both(listed("success.emails")),
            failure: with_both(listed("failure.emails")),
        };
        (emails != Self::default()).then(|| Box::new(emails))
    }
}

fn property<'a>(id: &str, flow: &'a LoadedFlow, name: &str) -> Option<&'a str> {
    let of_flow_1 = |source: &str| source.ends_with(".job");
    let found = flow.nodes.iter().find_map(|node| match of_flow_1(&node.source) {
        true => node.props.get(name).filter(|_| node.id == id),
        // What a job does not say itself it has from the flow.
        false => node
            .props
            .get(name)
            .filter(|_| !node.own_props.contains_key(name)),
    });
    found.map(String::as_str)
}

/// Java's `split` at commas with blanks around them, which drops empty pieces at the end.
fn addresses(list: &str) -> Vec<String> {
    if list.trim().is_empty() {
        return Vec::new();
    }
    let last = list.split(',').count() - 1;
    let pieces = list.split(',').enumerate().map(|(at, piece)| {
        let piece = if at > 0 { piece.trim_start() } else { piece };
        let piece = if at < last { piece.trim_end() } else { piece };
        piece.to_lowercase()
    });
    let mut pieces: Vec<String> = pieces.collect();
    while pieces.last().is_some_and(String::is_empty) {
        pieces.pop();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_between_commas() {
        assert_eq!(addresses("A@x , b@x,, c ,"), ["a@x", "b@x", "", "c"]);
        assert_eq!(addresses(" "), Vec::<String>::new());
    }
}
