//! A `.flow` file as the bean Azkaban reads it into, before anything is checked.
//!
//! Messages of the YAML reader are given by their heart and place; the real ones also print the half-built bean.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::yaml::{self, Value, Yaml, YamlError};

/// A node of a flow, or the flow itself.
#[derive(Debug, Default)]
pub(crate) struct NodeBean {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub condition: Option<String>,
    pub depends_on: Option<Vec<Option<String>>>,
    pub config: BTreeMap<String, Option<String>>,
    pub nodes: Option<Vec<Option<NodeBean>>>,
    pub trigger: Option<TriggerBean>,
    /// Where it starts.
    pub line: usize,
}

/// When a flow starts by itself.
#[derive(Debug, Default)]
pub(crate) struct TriggerBean {
    pub max_wait_mins: Option<i64>,
    pub schedule: Option<BTreeMap<String, Option<String>>>,
    pub dependencies: Vec<Option<DependencyBean>>,
}

/// What a trigger waits for.
#[derive(Debug, Default)]
pub(crate) struct DependencyBean {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub params: BTreeMap<String, Option<String>>,
}

type Read<T> = Result<T, YamlError>;

/// Reads a `.flow` file; `None` when nothing stands in it.
pub(crate) fn read(bytes: &[u8]) -> Read<Option<NodeBean>> {
    let Some(root) = yaml::read(bytes)? else {
        return Ok(None);
    };
    if root.is_null() {
        Ok(None)
    } else {
        node_bean(&root).map(Some)
    }
}

fn node_bean(yaml: &Yaml) -> Read<NodeBean> {
    let mut bean = NodeBean {
        line: yaml.line,
        ..NodeBean::default()
    };
    for (key, value) in properties(yaml, "azkaban.project.NodeBean")? {
        match key {
            "name" => bean.name = string(value)?,
            "type" => bean.kind = string(value)?,
            "condition" => bean.condition = string(value)?,
            "dependsOn" => bean.depends_on = list(value, string)?,
            "config" => bean.config = map(value)?.unwrap_or_default(),
            "nodes" => bean.nodes = list(value, |node| nullable(node, node_bean))?,
            "trigger" => bean.trigger = nullable(value, trigger_bean)?,
            _ => return Err(unknown(key, "azkaban.project.NodeBean", value)),
        }
    }
    Ok(bean)
}

fn trigger_bean(yaml: &Yaml) -> Read<TriggerBean> {
    let class = "azkaban.project.FlowTriggerBean";
    let mut bean = TriggerBean::default();
    for (key, value) in properties(yaml, class)? {
        match key {
            "maxWaitMins" => bean.max_wait_mins = number(value)?,
            "schedule" => bean.schedule = map(value)?,
            "triggerDependencies" => {
                let read = |one: &Yaml| nullable(one, dependency_bean);
                bean.dependencies = list(value, read)?.unwrap_or_default();
            }
            _ => return Err(unknown(key, class, value)),
        }
    }
    Ok(bean)
}

fn dependency_bean(yaml: &Yaml) -> Read<DependencyBean> {
    let class = "azkaban.project.TriggerDependencyBean";
    let mut bean = DependencyBean::default();
    for (key, value) in properties(yaml, class)? {
        match key {
            "name" => bean.name = string(value)?,
            "type" => bean.kind = string(value)?,
            "params" => bean.params = map(value)?.unwrap_or_default(),
            _ => return Err(unknown(key, class, value)),
        }
    }
    Ok(bean)
}

fn nullable<T>(yaml: &Yaml, read: impl Fn(&Yaml) -> Read<T>) -> Read<Option<T>> {
    if yaml.is_null() {
        Ok(None)
    } else {
        read(yaml).map(Some)
    }
}

/// The pairs of a mapping that stands for a bean.
fn properties<'a>(yaml: &'a Yaml, class: &str) -> Read<Vec<(&'a str, &'a Yaml)>> {
    let message = match &yaml.value {
        Value::Map(pairs) => {
            return Ok(pairs
                .iter()
                .map(|(key, value)| (key.text().unwrap_or("null"), &**value))
                .collect());
        }
        Value::List(items) => {
            format!(
                "No suitable constructor with {} arguments found for class {class}",
                items.len()
            )
        }
        Value::Scalar { .. } => format!("No single argument constructor found for class {class} : null"),
    };
    Err(at(message, yaml))
}

fn string(yaml: &Yaml) -> Read<Option<String>> {
    let Value::Scalar { text, .. } = &yaml.value else {
        let count = if let Value::List(items) = &yaml.value {
            items.len()
        } else {
            0
        };
        let message =
            format!("No suitable constructor with {count} arguments found for class java.lang.String");
        return Err(at(message, yaml));
    };
    match yaml.tag.as_deref() {
        _ if yaml.is_null() => Ok(None),
        None | Some("!" | "tag:yaml.org,2002:str") => Ok(Some(text.clone())),
        Some(tag) => Err(at(cast(tag), yaml)),
    }
}

/// What happens to a value whose tag makes it no string.
fn cast(tag: &str) -> String {
    let class = match tag.strip_prefix("tag:yaml.org,2002:") {
        Some("int") => "java.lang.Integer",
        Some("float") => "java.lang.Double",
        Some("bool") => "java.lang.Boolean",
        _ => return format!("Can't construct a java object for {tag}; exception=Invalid tag: {tag}"),
    };
    format!(
        "class {class} cannot be cast to class java.lang.String ({class} and java.lang.String are in module \
         java.base of loader 'bootstrap')"
    )
}

fn number(yaml: &Yaml) -> Read<Option<i64>> {
    let Some(text) = string(yaml)? else {
        return Ok(None);
    };
    let digits = text.replace('_', "");
    digits
        .parse()
        .map(Some)
        .map_err(|_| at(format!("For input string: \"{text}\""), yaml))
}

fn list<T>(yaml: &Yaml, read: impl Fn(&Yaml) -> Read<T>) -> Read<Option<Vec<T>>> {
    match &yaml.value {
        Value::List(items) => items.iter().map(|item| read(item)).collect::<Read<_>>().map(Some),
        _ if yaml.is_null() => Ok(None),
        _ => Err(at(
            "No single argument constructor found for interface java.util.List : null".to_owned(),
            yaml,
        )),
    }
}

fn map(yaml: &Yaml) -> Read<Option<BTreeMap<String, Option<String>>>> {
    match &yaml.value {
        Value::Map(pairs) => {
            let pair = |(key, value): &(Arc<Yaml>, Arc<Yaml>)| {
                Ok((string(key)?.unwrap_or_else(|| "null".to_owned()), string(value)?))
            };
            pairs.iter().map(pair).collect::<Read<_>>().map(Some)
        }
        _ if yaml.is_null() => Ok(None),
        _ => Err(at(
            "No single argument constructor found for interface java.util.Map : null".to_owned(),
            yaml,
        )),
    }
}

fn unknown(key: &str, class: &str, value: &Yaml) -> YamlError {
    at(
        format!("Unable to find property '{key}' on class: {class}"),
        value,
    )
}

fn at(message: String, yaml: &Yaml) -> YamlError {
    YamlError {
        message: format!("{message}\n in 'reader', line {}", yaml.line),
        line: Some(yaml.line),
    }
}
