//! Flow 2.0: one test per message of the loader, and what it accepts without a word.

use std::collections::BTreeSet;

use crate::{accepted, exception, listed, refused, tree};
use flowlift_azkaban::load::{Load, load};
use flowlift_azkaban::{Format, PROJECT_FILE, Tree};

fn project(files: &[(&str, &str)]) -> Tree {
    let mut all = tree(files);
    all.extend(tree(&[PROJECT_FILE]));
    all
}

/// The messages about one flow file `f.flow`.
fn messages(text: &str) -> Vec<String> {
    refused(&project(&[("f.flow", text)]))
}

#[test]
fn each_flow_file_is_a_flow() {
    let text = "config: {x: 1}\nnodes:\n- {name: b, type: noop, dependsOn: [a]}\n- {name: a, type: command, config: {command: ls}}\n";
    let project = project(&[
        ("f.flow", text),
        ("s/g.flow", "nodes: []"),
        ("lost.job", "type=noop"),
    ]);
    assert_eq!(listed(&project), ["f", "g"]);
    let loaded = accepted(&project);
    assert_eq!(loaded.format, Format::V2);
    assert_eq!(loaded.paths_of("g"), BTreeSet::from(["s/g.flow"]));
    let node = loaded.flow("f").unwrap().node("a").unwrap();
    let props: Vec<_> = node
        .props
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(props, ["command=ls", "type=command", "x=1"]);
    assert_eq!(loaded.flow("f").unwrap().node("b").unwrap().level, 1);
}

#[test]
fn embedded_flows_are_stored_and_not_listed() {
    let text = "nodes:\n- name: sub\n  type: flow\n  config: {y: 2}\n  nodes: [{name: in, type: noop}]\n";
    let loaded = accepted(&project(&[("f.flow", text)]));
    assert_eq!(loaded.listed(), BTreeSet::from(["f"]));
    assert_eq!(
        loaded.flow("f").unwrap().node("sub").unwrap().embedded.as_deref(),
        Some("f:sub")
    );
    assert_eq!(loaded.flow("f:sub").unwrap().node("in").unwrap().props["y"], "2");
}

#[test]
fn scalars_keep_the_text_they_are_written_with() {
    let text = "nodes:\n- name: 1.50\n  type: noop\n  config: {a: yes, b: 0x1F, c: 1_000, d: 2024-01-01, e: ~, f: 'x'}\n";
    let loaded = accepted(&project(&[("f.flow", text)]));
    let node = loaded.flow("f").unwrap().node("1.50").unwrap();
    let values: Vec<_> = node.own_props.values().map(String::as_str).collect();
    assert_eq!(values, ["yes", "0x1F", "1_000", "2024-01-01", "x", "noop"]);
}

#[test]
fn anchors_and_merged_keys_are_followed() {
    let text = "nodes:\n- &x {name: a, type: noop}\n- {<<: *x, name: b, dependsOn: [a]}\n";
    let loaded = accepted(&project(&[("f.flow", text)]));
    assert_eq!(loaded.flow("f").unwrap().node("b").unwrap().kind, "noop");
}

#[test]
fn the_project_file_must_be_one_and_say_2_0() {
    let of = |text: &str| exception(&tree(&[("p.project", text)])).message;
    for text in ["", "x: 1", "# nothing"] {
        assert_eq!(
            of(text),
            "azkaban-flow-version is not specified in the project YAML file.",
            "{text}"
        );
    }
    for text in [
        "azkaban-flow-version: 2",
        "azkaban-flow-version: 1.0",
        "azkaban-flow-version: '2.0'",
    ] {
        assert_eq!(
            of(text),
            "Invalid azkaban-flow-version in the project YAML file.",
            "{text}"
        );
    }
    for text in [
        "azkaban-flow-version: 2.0",
        "azkaban-flow-version: +2.",
        "azkaban-flow-version: 20e-1",
    ] {
        assert_eq!(
            accepted(&tree(&[("x/p.project", text)])).format,
            Format::V2,
            "{text}"
        );
    }
    let two = exception(&tree(&[("p.project", ""), ("q.project", "")]));
    assert_eq!(
        two.message,
        "Duplicate project YAML files found in the project directory. Only one is allowed."
    );
}

#[test]
fn flows_found_twice_are_refused() {
    let flow = "nodes: [{name: a, type: noop}]";
    assert_eq!(
        refused(&project(&[("x.flow", flow), ("s/x.flow", flow)])),
        ["Duplicate flows found in the project with name x"]
    );
}

#[test]
fn twins_and_unknown_dependencies_are_refused() {
    let expected = ["Failed to validate nodeBean for f.flow. Duplicate nodes found or dependency undefined."];
    assert_eq!(
        messages("nodes: [{name: a, type: noop}, {name: a, type: noop}]"),
        expected
    );
    assert_eq!(
        messages("nodes: [{name: a, type: noop, dependsOn: [b]}]"),
        expected
    );
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_name() {
    for (text, start) in [
        ("", "Failed to load flow file f.flow. Node bean is null ."),
        ("config: {}", "Cannot invoke \"java.util.List.iterator()\""),
        ("nodes: [{name: a}]", "Cannot invoke \"String.equals(Object)\""),
        ("nodes: [{type: noop}]", "null"),
        (
            "nodes: [{name: a, type: flow}]",
            "Cannot invoke \"java.util.List.stream()\"",
        ),
        (
            "nodes: [{name: a, type: noop, foo: 1}]",
            "Unable to find property 'foo' on class: azkaban.project.NodeBean",
        ),
        (
            "nodes: [{name: a, type: noop, config: {x: [1]}}]",
            "No suitable constructor",
        ),
        ("nodes: hello", "No single argument constructor found"),
        ("a: \u{1}", "special characters are not allowed"),
        ("nodes: []\n---\nnodes: []", "expected a single document"),
        ("nodes: [", ""),
    ] {
        let found = messages(text);
        let start = format!("Error loading flow yaml file f.flow:{start}");
        assert!(
            found.len() == 1 && found[0].starts_with(&start),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn cycles_are_refused() {
    assert_eq!(
        messages("nodes: [{name: a, type: noop, dependsOn: [b]}, {name: b, type: noop, dependsOn: [a]}]"),
        ["Cycles found at a>>b"]
    );
    assert_eq!(
        messages("nodes: [{name: a, type: noop, dependsOn: [a]}]"),
        ["Cycles found at a>>a"]
    );
}

#[test]
fn a_cycle_behind_a_start_node_overflows_the_stack() {
    let text = "nodes: [{name: s, type: noop}, {name: a, type: noop, dependsOn: [b, s]}, {name: b, type: noop, dependsOn: [a]}]";
    assert_eq!(load(&project(&[("f.flow", text)])), Load::StackOverflow);
}

#[test]
fn conditions_are_checked() {
    let with = |condition: &str| {
        messages(&format!(
            "nodes:\n- {{name: a, type: noop, condition: '{condition}'}}\n- {{name: b, type: noop, dependsOn: [a]}}"
        ))
    };
    assert_eq!(
        with("${b:x} == 1"),
        ["Invalid condition for a: should not define condition on its descendant node b."]
    );
    assert_eq!(
        with("${x:y}"),
        ["Invalid condition for a: x doesn't exist in the flow."]
    );
    assert_eq!(with(""), ["Invalid condition for a: operand is an empty string."]);
}

#[test]
fn memory_is_checked_by_flow_and_job() {
    assert_eq!(
        messages("nodes: [{name: a, type: noop, config: {Xms: 2G}}]"),
        ["f:a: Xms value has exceeded the allowed limit (max Xms = 1G)"]
    );
}

#[test]
fn triggers_are_checked() {
    let with = |trigger: &str| messages(&format!("nodes: [{{name: a, type: noop}}]\ntrigger: {trigger}"));
    for (trigger, message) in [
        ("{}", "flow trigger schedule must not be null"),
        ("{schedule: {type: x}}", "flow trigger schedule type must be cron"),
        (
            "{schedule: {type: cron, value: x}}",
            "flow trigger schedule value must be a valid cron expression",
        ),
        (
            "{schedule: {type: cron, value: 1 0 * * * ?}}",
            "interval of flow trigger schedule has to be larger than 1 min",
        ),
        (
            "{schedule: {type: cron, value: 0 0 * * * ?, x: y}}",
            "flow trigger schedule must contain type and value only",
        ),
        (
            "{maxWaitMins: 0, schedule: {type: cron, value: 0 0 * * * ?}}",
            "max wait min must be at least 1 min(s)",
        ),
        (
            "{schedule: {type: cron, value: 0 0 * * * ?}, triggerDependencies: [{name: a, type: k}]}",
            "max wait min cannot be null unless no dependency is defined",
        ),
    ] {
        assert_eq!(
            with(trigger),
            [format!("Error loading flow yaml file f.flow:{message}")],
            "{trigger}"
        );
    }
    let good = "nodes: []\ntrigger: {schedule: {type: cron, value: 0 0 * * * ?}}";
    assert_eq!(listed(&project(&[("f.flow", good)])), ["f"]);
}
