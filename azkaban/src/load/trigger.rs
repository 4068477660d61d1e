//! Flow triggers of Flow 2.0: what Azkaban refuses in them.

use std::collections::{BTreeMap, HashSet};

use super::bean::{DependencyBean, TriggerBean};
use crate::cron::check_cron;

/// Checks a trigger; the error is the message of Azkaban's exception.
pub(super) fn check(trigger: &TriggerBean) -> Result<(), String> {
    schedule(trigger.schedule.as_ref())?;
    let dependencies = dependencies(&trigger.dependencies)?;
    if !dependencies.is_empty() && trigger.max_wait_mins.is_none() {
        return refuse("max wait min cannot be null unless no dependency is defined");
    }
    if trigger.max_wait_mins.is_some_and(|minutes| minutes < 1) {
        return refuse("max wait min must be at least 1 min(s)");
    }
    let blank = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().is_empty();
    if dependencies
        .iter()
        .any(|one| blank(&one.name) || blank(&one.kind))
    {
        return refuse("null");
    }
    Ok(())
}

fn refuse(message: &str) -> Result<(), String> {
    Err(message.to_owned())
}

fn schedule(schedule: Option<&BTreeMap<String, Option<String>>>) -> Result<(), String> {
    let Some(schedule) = schedule else {
        return refuse("flow trigger schedule must not be null");
    };
    let get = |key: &str| schedule.get(key).and_then(Option::as_deref);
    if get("type") != Some("cron") {
        return refuse("flow trigger schedule type must be cron");
    }
    let Some(value) = get("value").filter(|value| is_cron(value)) else {
        return refuse("flow trigger schedule value must be a valid cron expression");
    };
    if value.split_whitespace().next() != Some("0") {
        return refuse("interval of flow trigger schedule has to be larger than 1 min");
    }
    if schedule.len() != 2 {
        return refuse("flow trigger schedule must contain type and value only");
    }
    Ok(())
}

/// Quartz overlooks fields beyond the seventh.
fn is_cron(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().take(7).collect();
    check_cron(&fields.join(" ")).is_ok()
}

fn dependencies(all: &[Option<DependencyBean>]) -> Result<Vec<&DependencyBean>, String> {
    let mut found = Vec::with_capacity(all.len());
    for one in all {
        let Some(one) = one else {
            refuse(
                "Cannot invoke \"azkaban.project.TriggerDependencyBean.getName()\" because \"dep\" is null",
            )?;
            continue;
        };
        let Some(name) = &one.name else {
            refuse("dependency name is required")?;
            continue;
        };
        if one.kind.is_none() {
            refuse(&format!("dependency type is required for {name}"))?;
        }
        found.push(one);
    }
    let mut names = HashSet::new();
    let mut definitions = HashSet::new();
    for one in &found {
        if !names.insert(&one.name) {
            let name = one.name.as_deref().unwrap_or_default();
            refuse(&format!(
                "duplicate dependency.name {name} found, dependency.name should be unique"
            ))?;
        }
    }
    for one in &found {
        if !definitions.insert((&one.kind, &one.params)) {
            // the text names the first of the two
            let first = found
                .iter()
                .find(|first| first.kind == one.kind && first.params == one.params);
            let name = first.and_then(|first| first.name.as_deref()).unwrap_or_default();
            refuse(&format!(
                "duplicate dependencyconfig {name} found, dependency config should be unique"
            ))?;
        }
    }
    Ok(found)
}
