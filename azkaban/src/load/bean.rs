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

/// A Java class that a mapping is read into.
struct Class {
    name: &'static str,
    keys: &'static str,
}

const NODE: Class = Class {
    name: "azkaban.project.NodeBean",
    keys: "name, type, dependsOn, condition, config, nodes, trigger",
};
const TRIGGER: Class = Class {
    name: "azkaban.project.FlowTriggerBean",
    keys: "maxWaitMins, schedule, triggerDependencies",
};
const DEPENDENCY: Class = Class {
    name: "azkaban.project.TriggerDependencyBean",
    keys: "name, type, params",
};

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
    for (key, value) in properties(yaml, &NODE)? {
        match key {
            "name" => bean.name = string(value)?,
            "type" => bean.kind = string(value)?,
            "condition" => bean.condition = string(value)?,
            "dependsOn" => bean.depends_on = list(value, string)?,
            "config" => bean.config = map(value)?.unwrap_or_default(),
            "nodes" => bean.nodes = list(value, |node| nullable(node, node_bean))?,
            "trigger" => bean.trigger = nullable(value, trigger_bean)?,
            _ => return Err(unknown(key, &NODE, value)),
        }
    }
    Ok(bean)
}

fn trigger_bean(yaml: &Yaml) -> Read<TriggerBean> {
    let mut bean = TriggerBean::default();
    for (key, value) in properties(yaml, &TRIGGER)? {
        match key {
            "maxWaitMins" => bean.max_wait_mins = number(value)?,
            "schedule" => bean.schedule = map(value)?,
            "triggerDependencies" => {
                let read = |one: &Yaml| nullable(one, dependency_bean);
                bean.dependencies = list(value, read)?.unwrap_or_default();
            }
            _ => return Err(unknown(key, &TRIGGER, value)),
        }
    }
    Ok(bean)
}

fn dependency_bean(yaml: &Yaml) -> Read<DependencyBean> {
    let mut bean = DependencyBean::default();
    for (key, value) in properties(yaml, &DEPENDENCY)? {
        match key {
            "name" => bean.name = string(value)?,
            "type" => bean.kind = string(value)?,
            "params" => bean.params = map(value)?.unwrap_or_default(),
            _ => return Err(unknown(key, &DEPENDENCY, value)),
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
fn properties<'a>(yaml: &'a Yaml, class: &Class) -> Read<Vec<(&'a str, &'a Yaml)>> {
    let name = class.name;
    let message = match &yaml.value {
        Value::Map(pairs) => {
            return Ok(pairs
                .iter()
                .map(|(key, value)| (key.text().unwrap_or("null"), &**value))
                .collect());
        }
        Value::List(items) => {
            format!(
                "No suitable constructor with {} arguments found for class {name}",
                items.len()
            )
        }
        Value::Scalar { .. } => format!("No single argument constructor found for class {name} : null"),
    };
    Err(at(
        yaml,
        &message,
        format!("a mapping with {} is expected here", class.keys),
    ))
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
        return Err(at(
            yaml,
            &message,
            "one text or number is expected here, no list or mapping".to_owned(),
        ));
    };
    match yaml.tag.as_deref() {
        _ if yaml.is_null() => Ok(None),
        None | Some("!" | "tag:yaml.org,2002:str") => Ok(Some(text.clone())),
        Some(tag) => Err(at(yaml, &cast(tag), format!("the tag {tag} makes this no text"))),
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
    let number = text.replace('_', "").parse();
    number.map(Some).map_err(|_| {
        at(
            yaml,
            &format!("For input string: \"{text}\""),
            "a whole number is expected here".to_owned(),
        )
    })
}

fn list<T>(yaml: &Yaml, read: impl Fn(&Yaml) -> Read<T>) -> Read<Option<Vec<T>>> {
    match &yaml.value {
        Value::List(items) => items.iter().map(|item| read(item)).collect::<Read<_>>().map(Some),
        _ if yaml.is_null() => Ok(None),
        _ => {
            let message = "No single argument constructor found for interface java.util.List : null";
            Err(at(yaml, message, "a list is expected here".to_owned()))
        }
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
        _ => {
            let message = "No single argument constructor found for interface java.util.Map : null";
            Err(at(yaml, message, "a mapping is expected here".to_owned()))
        }
    }
}

fn unknown(key: &str, class: &Class, value: &Yaml) -> YamlError {
    let message = format!("Unable to find property '{key}' on class: {}", class.name);
    at(
        value,
        &message,
        format!("key {key:?} is not known here, expected is one of {}", class.keys),
    )
}

fn at(yaml: &Yaml, message: &str, reason: String) -> YamlError {
    let message = format!("{message}\n in 'reader', line {}", yaml.line);
    YamlError {
        message,
        reason,
        line: Some(yaml.line),
    }
}
