//! Flow 2.0 nodes between bean and flow: names, types and triggers checked as Azkaban checks them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::bean::NodeBean;
use super::{java, trigger};

pub(super) type Props = Arc<BTreeMap<String, String>>;

/// Why a file is given up.
pub(super) enum Fail {
    /// An exception, caught and reported with the file's name.
    Exception(String),
    Overflow,
}

/// A node after its types and triggers were checked.
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) condition: Option<String>,
    pub(super) depends_on: Vec<String>,
    pub(super) config: Props,
    /// Of a node of type `flow`: its nodes in Azkaban's order.
    pub(super) nodes: Vec<Checked>,
}

/// Azkaban's `validate`: names unique, dependencies known; it looks at the top level alone.
pub(super) fn is_valid(bean: &NodeBean) -> Result<bool, Fail> {
    let Some(nodes) = &bean.nodes else {
        return null("java.util.List.iterator", "NodeBean.getNodes");
    };
    let mut names = HashSet::new();
    for node in nodes {
        let Some(node) = node else {
            let text = "Cannot invoke \"azkaban.project.NodeBean.getName()\" because \"n\" is null";
            return Err(Fail::Exception(text.to_owned()));
        };
        if !names.insert(&node.name) {
            return Ok(false);
        }
    }
    let mut needed = nodes
        .iter()
        .flatten()
        .filter_map(|node| node.depends_on.as_ref())
        .flatten();
    Ok(needed.all(|name| names.contains(name)))
}

/// Turns a bean into a node, types and triggers checked.
pub(super) fn check(bean: NodeBean) -> Result<Checked, Fail> {
    let Some(kind) = bean.kind else {
        return null("String.equals(Object)", "NodeBean.getType");
    };
    let mut depends_on = Vec::new();
    for (at, name) in bean.depends_on.unwrap_or_default().into_iter().enumerate() {
        depends_on.push(name.ok_or_else(|| Fail::Exception(format!("at index {at}")))?);
    }
    let mut nodes: Vec<Checked> = Vec::new();
    if kind == "flow" {
        let Some(beans) = bean.nodes else {
            return null("java.util.List.stream", "NodeBean.getNodes");
        };
        let mut at: HashMap<String, usize> = HashMap::new();
        for bean in beans {
            let Some(bean) = bean else {
                let text =
                    "Cannot invoke \"azkaban.project.NodeBean.getType()\" because \"nodeBean\" is null";
                return Err(Fail::Exception(text.to_owned()));
            };
            // of equal names the last wins, at the place of the first
            let node = check(bean)?;
            match at.get(&node.name) {
                Some(place) => nodes[*place] = node,
                None => {
                    at.insert(node.name.clone(), nodes.len());
                    nodes.push(node);
                }
            }
        }
        java::hash_order(&mut nodes, |node| java::hash_code(&node.name));
        if let Some(trigger) = &bean.trigger {
            trigger::check(trigger).map_err(Fail::Exception)?;
        }
    }
    // a node without a name is a null key in a map that takes none
    let Some(name) = bean.name else {
        return Err(Fail::Exception("null".to_owned()));
    };
    let config = bean
        .config
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    Ok(Checked {
        name,
        kind,
        condition: bean.condition,
        depends_on,
        config: Arc::new(config),
        nodes,
    })
}

fn null<T>(call: &str, of: &str) -> Result<T, Fail> {
    let call = if call.ends_with(')') {
        call.to_owned()
    } else {
        format!("{call}()")
    };
    let text =
        format!("Cannot invoke \"{call}\" because the return value of \"azkaban.project.{of}()\" is null");
    Err(Fail::Exception(text))
}

/// Whether a node depends on `target`, directly or not. Azkaban's search has no memory: a cycle in its way never ends.
pub(super) fn needs(
    flow: &Checked,
    by_name: &HashMap<&str, usize>,
    from: usize,
    target: &str,
) -> Result<bool, Fail> {
    let mut on_path = HashSet::from([from]);
    let mut done = HashSet::new();
    let mut stack = vec![(from, 0)];
    while let Some((node, next)) = stack.last_mut() {
        let node = *node;
        let depends_on = &flow.nodes[node].depends_on;
        if *next == 0 && depends_on.iter().any(|name| name == target) {
            return Ok(true);
        }
        let Some(name) = depends_on.get(*next) else {
            on_path.remove(&node);
            done.insert(node);
            stack.pop();
            continue;
        };
        *next += 1;
        let Some(&to) = by_name.get(name.as_str()) else {
            continue;
        };
        if on_path.contains(&to) {
            return Err(Fail::Overflow);
        }
        if !done.contains(&to) {
            on_path.insert(to);
            stack.push((to, 0));
        }
    }
    Ok(false)
}
