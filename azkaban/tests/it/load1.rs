//! Flow 1.0: one test per message of the loader, and what it accepts without a word.

use std::collections::BTreeSet;

use crate::{accepted, exception, listed, refused, tree};
use flowlift_azkaban::load::{Load, load};

#[test]
fn a_flow_is_a_job_that_no_other_needs() {
    let project = tree(&[
        ("a.job", "type=noop"),
        ("b.job", "type=command\ndependencies=a\ncommand=echo"),
        ("sub/c.job", "type=noop\ndependencies= a , b,,"),
        ("d.job", "type=noop"),
    ]);
    assert_eq!(listed(&project), ["c", "d"]);
    let loaded = accepted(&project);
    let flow = loaded.flow("c").unwrap();
    let levels: Vec<_> = flow
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node.level))
        .collect();
    assert_eq!(levels, [("a", 0), ("b", 1), ("c", 2)]);
    assert_eq!(flow.node("c").unwrap().depends_on, ["a", "b"]);
    assert_eq!(
        loaded.paths_of("c"),
        BTreeSet::from(["a.job", "b.job", "sub/c.job"])
    );
    assert!(loaded.paths_of("nope").is_empty());
}

#[test]
fn a_job_can_be_made_a_flow_by_root_node() {
    let project = tree(&[
        ("a.job", "type=noop\nroot.node= TRUE "),
        ("b.job", "type=noop\ndependencies=a"),
    ]);
    assert_eq!(listed(&project), ["a", "b"]);
}

#[test]
fn properties_are_inherited_in_order_and_downwards() {
    let project = tree(&[
        ("1.properties", "x=1\ny=1"),
        ("2.properties", "x=2"),
        ("sub/3.properties", "z=3"),
        ("a.job", "type=noop\ny=own"),
        ("sub/b.job", "type=noop"),
    ]);
    let loaded = accepted(&project);
    let props = |flow: &str| {
        let props = &loaded.flow(flow).unwrap().nodes[0].props;
        ["x", "y", "z"].map(|key| props.get(key).cloned().unwrap_or_default())
    };
    assert_eq!(props("a"), ["2", "own", ""]);
    assert_eq!(props("b"), ["2", "1", "3"]);
    assert_eq!(loaded.flow("a").unwrap().nodes[0].own_props.len(), 2);
}

#[test]
fn hidden_bare_and_foreign_files_are_not_read() {
    let project = tree(&[
        (".hidden.job", "x"),
        ("__MACOSX/._a.job", "x"),
        (".job", "x"),
        ("a.txt", "x"),
        (".git/a.job", "type=noop"),
    ]);
    assert_eq!(
        listed(&project),
        ["a"],
        "hidden folders are read, hidden files are not"
    );
    assert!(listed(&tree(&[])).is_empty());
    assert!(
        listed(&tree(&[("a.flow", "nodes: []")])).is_empty(),
        "a .flow file alone is lost"
    );
}

#[test]
fn jobs_found_twice_are_refused() {
    let project = tree(&[
        ("a.job", "type=noop"),
        ("s/a.job", "type=noop"),
        ("t/a.job", "type=noop"),
        ("z.job", "type=noop\ndependencies=a"),
    ]);
    assert_eq!(
        refused(&project),
        ["Duplicate job names found 'a'.", "z has ambiguous dependency a"]
    );
}

#[test]
fn missing_and_own_dependencies_are_refused() {
    assert_eq!(
        refused(&tree(&[("a.job", "type=noop\ndependencies=nope")])),
        ["a cannot find dependency nope"]
    );
    assert_eq!(
        refused(&tree(&[
            ("a.job", "type=noop\ndependencies=a"),
            ("b.job", "type=noop\ndependencies=a")
        ])),
        ["a has a self cycle"]
    );
}

#[test]
fn a_job_without_a_type_is_refused() {
    assert_eq!(
        refused(&tree(&[("a.job", "")])),
        ["Job doesn't have type set 'a'."]
    );
    assert_eq!(
        listed(&tree(&[("a.job", ""), ("p.properties", "type=noop")])),
        ["a"]
    );
}

#[test]
fn a_cycle_without_an_entry_that_an_end_job_needs_is_refused() {
    let project = tree(&[
        ("a.job", "type=noop\ndependencies=b"),
        ("b.job", "type=noop\ndependencies=a"),
        ("z.job", "type=noop\ndependencies=a"),
    ]);
    assert_eq!(refused(&project), ["Cyclical dependency found at a>>b"]);
}

#[test]
fn a_cycle_behind_a_start_node_overflows_the_stack() {
    let project = tree(&[
        ("a.job", "type=noop\ndependencies=b,s"),
        ("b.job", "type=noop\ndependencies=a"),
        ("s.job", "type=noop"),
        ("z.job", "type=noop\ndependencies=a"),
    ]);
    assert_eq!(load(&project), Load::StackOverflow);
}

#[test]
fn a_cycle_that_no_end_job_needs_is_accepted_and_lost() {
    let project = tree(&[
        ("a.job", "type=noop\ndependencies=b,s"),
        ("b.job", "type=noop\ndependencies=a"),
        ("s.job", "type=noop"),
        ("c.job", "type=noop"),
    ]);
    assert_eq!(listed(&project), ["c"]);
}

#[test]
fn embedded_flows_are_followed() {
    let project = tree(&[
        ("sub.job", "type=noop\ndependencies=start"),
        ("start.job", "type=noop"),
        ("main.job", "type=flow\nflow.name=sub"),
    ]);
    let loaded = accepted(&project);
    assert_eq!(
        loaded.paths_of("main"),
        BTreeSet::from(["main.job", "sub.job", "start.job"])
    );
    assert_eq!(
        loaded.flow("main").unwrap().nodes[0].embedded.as_deref(),
        Some("sub")
    );
}

#[test]
fn embedded_flows_must_exist_and_end() {
    assert_eq!(
        refused(&tree(&[("a.job", "type=flow\nflow.name=x")])),
        ["Flow a depends on x but can't be found."]
    );
    assert_eq!(
        refused(&tree(&[("a.job", "type=flow")])),
        ["Flow a depends on null but can't be found."]
    );
    assert_eq!(
        refused(&tree(&[
            ("a.job", "type=flow\nflow.name=b"),
            ("b.job", "type=flow\nflow.name=a")
        ])),
        [
            "Embedded flow cycle found in a->b",
            "Embedded flow cycle found in b->a"
        ]
    );
}

#[test]
fn conditions_are_checked() {
    let with = |condition: &str| {
        refused(&tree(&[
            ("a.job", "type=noop"),
            (
                "b.job",
                &format!("type=noop\ndependencies=a\ncondition={condition}"),
            ),
        ]))
    };
    assert_eq!(
        with("${x:y}"),
        ["Invalid condition for b: x doesn't exist in the flow."]
    );
    assert_eq!(
        with("one_success && all_done"),
        ["Invalid condition for b: cannot combine more than one conditionOnJobStatus macros."]
    );
    assert_eq!(
        with("&& 1"),
        ["Invalid condition fo b: operand is an empty string."]
    );
    assert_eq!(
        with("foo"),
        [
            "Invalid condition for b: cannot resolve the condition. Please check the syntax for supported conditions."
        ]
    );
}

#[test]
fn a_condition_on_a_job_of_a_folder_read_later_is_refused() {
    let project = tree(&[("a.job", "type=noop\ncondition=${b:x}"), ("s/b.job", "type=noop")]);
    assert_eq!(
        refused(&project),
        ["Invalid condition for a: b doesn't exist in the flow."]
    );
}

#[test]
fn too_much_memory_is_refused() {
    assert_eq!(
        refused(&tree(&[("f1.job", "type=noop\nXmx=3G")])),
        ["f1: Xmx value has exceeded the allowed limit (max Xmx = 2G)"]
    );
}

#[test]
fn exceptions_end_the_upload() {
    let memory = exception(&tree(&[("a.job", "type=noop\nXmx=zz")]));
    assert_eq!(
        (memory.message.as_str(), memory.path.as_deref()),
        ("For input string: \"zz\"", Some("a.job"))
    );
    let escape = exception(&tree(&[("a.job", ""), ("b.job", "x=\\uZZ")]));
    assert_eq!(escape.message, "Malformed \\uxxxx encoding.");
    assert_eq!(escape.path.as_deref(), Some("b.job"));
}

#[test]
fn problems_name_the_file_and_the_flow_to_blame() {
    let Load::Refused(problems) = load(&tree(&[
        ("x/a.job", "type=noop\ndependencies=b"),
        ("b.job", "type=noop\ndependencies=a"),
        ("z.job", "type=noop\ndependencies=a"),
    ])) else {
        panic!("accepted")
    };
    assert_eq!(problems[0].path.as_deref(), Some("b.job"));
    assert_eq!(problems[0].flow.as_deref(), Some("z"));
}
