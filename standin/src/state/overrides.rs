//! Properties of jobs that were set by hand and stand in for those of the uploaded files (pure).
//!
//! Flow 1.0 has a row per job name of a version, whatever the flow; Flow 2.0 a changed copy of the flow's file.

use std::collections::{BTreeMap, HashMap};

use flowlift_azkaban::name::fold;

use crate::state::flows::Node;
use crate::wire::java::{hash_order, utf16_len};

/// All of a project, by version and key.
pub(crate) type Overrides = BTreeMap<i32, HashMap<String, BTreeMap<String, String>>>;

/// The end of a row's name.
const SUFFIX: &str = ".jor";
/// Width of the column for it.
const NAME_MAX: usize = 255;

/// The row, or the place in a flow file, that holds what is set for a job.
pub(crate) fn key(flow: &str, node: &Node) -> String {
    match is_of_flow_2(node) {
        true => format!("{flow}:{}", node.id),
        false => fold(&format!("{}{SUFFIX}", node.id)),
    }
}

/// Does the job's name fit into its row?
pub(crate) fn name_fits(node: &Node) -> bool {
    is_of_flow_2(node) || utf16_len(&node.id) + SUFFIX.len() <= NAME_MAX
}

fn is_of_flow_2(node: &Node) -> bool {
    node.source.ends_with(".flow")
}

/// What is kept when properties are set over what was there before: in Flow 2.0 a job without a type keeps its own.
pub(crate) fn set(
    node: &Node,
    mut props: BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    if let Some(kind) = before.get("type").filter(|_| is_of_flow_2(node)) {
        props.entry("type".to_owned()).or_insert_with(|| kind.clone());
    }
    props
}

/// What the project log says: what is new, what is gone, what has changed, each in Java's hash order.
pub(crate) fn difference(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> String {
    let listed = |map: &BTreeMap<String, String>, one: &dyn Fn(&str, &str) -> Option<String>| {
        let mut entries: Vec<_> = map.iter().collect();
        hash_order(&mut entries, |(name, _)| name);
        let told = entries
            .into_iter()
            .filter_map(|(name, value)| Some(format!("[ {name}, {}], ", one(name, value)?)));
        told.collect::<String>()
    };
    let created = listed(new, &|name, value| {
        (!old.contains_key(name)).then(|| value.to_owned())
    });
    let deleted = listed(old, &|name, value| {
        (!new.contains_key(name)).then(|| value.to_owned())
    });
    let modified = listed(old, &|name, value| {
        let other = new.get(name).filter(|other| *other != value)?;
        Some(format!("{value}-->{other}"))
    });
    let mut text = String::new();
    for (title, list, end) in [
        ("Newly created Properties: ", created, "\n"),
        ("Deleted Properties: ", deleted, "\n"),
        ("Modified Properties: ", modified, ""),
    ] {
        if !list.is_empty() {
            text.push_str(&format!("{title}{list}{end}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    #[test]
    fn a_difference_tells_what_is_new_gone_and_changed() {
        let (old, new) = (
            props(&[("a", "1"), ("b", "2"), ("c", "3")]),
            props(&[("c", "4"), ("b", "2"), ("d", "5"), ("e", "")]),
        );
        assert_eq!(
            difference(&old, &new),
            "Newly created Properties: [ d, 5], [ e, ], \nDeleted Properties: [ a, 1], \nModified Properties: [ c, 3-->4], "
        );
        assert_eq!(difference(&new, &new), "");
    }
}
