//! Flows written as files and read back, in both formats and across.

use std::collections::BTreeMap;

use flowlift_azkaban::load::{Load, load};
use flowlift_azkaban::{Flow, Format, Job, Lossy, PROJECT_FILE, Tree, check_flow, check_tree, lift, render};
use proptest::prelude::*;

use crate::{accepted, flow, job, tree};

/// The project that a rendered flow makes.
fn project(flow: &Flow, format: Format) -> Tree {
    let mut all: Tree = render(flow, format).unwrap().into_iter().collect();
    if format == Format::V2 {
        all.extend(tree(&[PROJECT_FILE]));
    }
    all
}

fn texts(flow: &Flow, format: Format) -> Vec<(String, String)> {
    let text = |content: &[u8]| String::from_utf8(content.to_vec()).unwrap();
    render(flow, format)
        .unwrap()
        .into_iter()
        .map(|(path, content)| (path, text(&content)))
        .collect()
}

fn with(mut job: Job, props: &[(&str, &str)]) -> Job {
    job.props = props
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    job
}

fn file(path: &str, text: &str) -> (String, String) {
    (path.to_owned(), text.to_owned())
}

#[test]
fn the_one_end_job_becomes_the_flow() {
    let mut load = with(
        job("load", &["get", "get"]),
        &[("retries", "3"), ("command", "load x"), ("b", "2")],
    );
    load.kind = "command".to_owned();
    let mut flow = flow("day", vec![job("get", &[]), load]);
    flow.props = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "1".to_owned())].into();
    assert_eq!(
        texts(&flow, Format::V1),
        [
            file(
                "day.job",
                "type=command\ndependencies=day~get\ncommand=load x\na=1\nb=2\nretries=3\n"
            ),
            file("day~get.job", "type=noop\na=1\nb=1\n"),
        ]
    );
}

#[test]
fn several_end_jobs_get_one_behind_them() {
    let flow = flow("f", vec![job("b", &[]), job("a", &[]), job("f", &[])]);
    assert_eq!(
        texts(&flow, Format::V1)[0],
        file("f.job", "type=noop\ndependencies=f~a,f~b,f~f\n")
    );
    assert_eq!(accepted(&project(&flow, Format::V1)).listed().len(), 1);
}

#[test]
fn an_inner_job_may_have_the_flows_name() {
    let flow = flow("f", vec![job("f", &[]), job("last", &["f"])]);
    assert_eq!(
        texts(&flow, Format::V1),
        [
            file("f.job", "type=noop\ndependencies=f~f\n"),
            file("f~f.job", "type=noop\n")
        ]
    );
    let lifted = lift(&project(&flow, Format::V1), Format::V1, "f").unwrap();
    assert_eq!(lifted.jobs, [job("end", &["f"]), job("f", &[])]);
}

#[test]
fn flows_of_one_project_never_share_a_file() {
    let one = flow("a", vec![job("b.c", &[]), job("x", &["b.c"])]);
    let two = flow("a.b", vec![job("c", &[]), job("x", &["c"])]);
    let paths = |flow: &Flow| {
        texts(flow, Format::V1)
            .into_iter()
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(&one), ["a.job", "a~b.c.job"]);
    assert_eq!(paths(&two), ["a.b.job", "a.b~c.job"]);
}

#[test]
fn flow_2_is_one_file_with_its_config() {
    let mut flow = flow(
        "f",
        vec![
            job("a", &[]),
            with(job("b", &["a"]), &[("x", "yes"), ("condition", "all_done")]),
        ],
    );
    flow.props = [("m".to_owned(), "1.50".to_owned())].into();
    assert_eq!(
        texts(&flow, Format::V2),
        [file(
            "f.flow",
            "config:\n  m: \"1.50\"\nnodes:\n- name: a\n  type: noop\n- name: b\n  type: noop\n  dependsOn:\n  - a\n  \
             condition: all_done\n  config:\n    x: \"yes\"\n"
        )]
    );
}

#[test]
fn conditions_follow_their_jobs_names() {
    let jobs = vec![
        job("a", &[]),
        with(job("b", &["a"]), &[("condition", "${a:code} == 0 && all_done")]),
    ];
    let flow = flow("f", jobs);
    let one = project(&flow, Format::V1);
    assert_eq!(
        accepted(&one)
            .flow("f")
            .unwrap()
            .node("f")
            .unwrap()
            .condition
            .as_deref(),
        Some("${f~a:code} == 0 && all_done")
    );
    let lifted = lift(&one, Format::V1, "f").unwrap();
    assert_eq!(lifted.jobs[0].props["condition"], "${a:code} == 0 && all_done");
    assert!(matches!(load(&project(&lifted, Format::V2)), Load::Flows(_)));
}

#[test]
fn what_azkaban_would_refuse_is_not_written() {
    let error = render(&flow("f", vec![job("a", &["a"]), job("b", &["x"])]), Format::V1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "flow \"f\" cannot be written in Flow 1.0: jobs.a.dependsOn: job \"a\" depends on itself; \
         jobs.b.dependsOn: job \"b\" depends on \"x\", which is not in the flow"
    );
}

#[test]
fn what_would_be_lost_is_not_lifted() {
    let loss = |files: &[(&str, &str)], format, flow| match lift(&tree(files), format, flow) {
        Err(Lossy::Loss { reason, .. }) => reason,
        other => panic!("no loss: {other:?}"),
    };
    assert_eq!(
        loss(
            &[("a.job", "type=flow\nflow.name=b"), ("b.job", "type=noop")],
            Format::V1,
            "a"
        ),
        "its job \"a\" runs another flow"
    );
    assert_eq!(
        loss(
            &[("a.job", "type=noop"), ("p.properties", "x=1")],
            Format::V1,
            "a"
        ),
        "its job \"a\" inherits from a .properties file"
    );
    let two = |text| loss(&[PROJECT_FILE, ("f.flow", text)], Format::V2, "f");
    assert_eq!(
        two("nodes: [{name: a, type: flow, nodes: []}]"),
        "its job \"a\" is a flow itself"
    );
    assert_eq!(
        two("nodes: [{name: a, type: noop}]\ntrigger: {schedule: {type: cron, value: 0 0 * * * ?}}"),
        "it has a trigger"
    );
    assert_eq!(two("nodes: []"), "it has no jobs");
    assert_eq!(
        two("nodes: [{name: a, type: noop, config: {dependencies: x}}]"),
        "the config of job \"a\" has \"dependencies\", which means something else in Flow 1.0"
    );
    assert_eq!(
        two("nodes: [{name: a, type: noop, config: {x: ~}}]"),
        "the config of job \"a\" has \"x\" without a value"
    );
    assert!(matches!(
        lift(&tree(&[("a.job", "type=noop")]), Format::V1, "b"),
        Err(Lossy::Missing { .. })
    ));
    assert!(matches!(
        lift(&tree(&[("a.job", "type=noop")]), Format::V2, "a"),
        Err(Lossy::Format { .. })
    ));
    assert!(matches!(
        lift(&tree(&[("a.job", "")]), Format::V1, "a"),
        Err(Lossy::Refused { .. })
    ));
}

#[test]
fn handwritten_jobs_keep_their_names_when_lifted() {
    let files = [
        ("start.job", "type=noop"),
        (
            "end.job",
            "type=command\ncommand=x\ndependencies=start\nroot.node=true",
        ),
    ];
    let lifted = lift(&tree(&files), Format::V1, "end").unwrap();
    assert_eq!(lifted.jobs[0].name, "end");
    assert_eq!(lifted.jobs[1].name, "start");
    assert_eq!(
        lifted.jobs[0].props,
        BTreeMap::from([("command".to_owned(), "x".to_owned())])
    );
}

/// Strings as people, templates and attackers write them.
fn text() -> impl Strategy<Value = String> {
    let awkward = [
        "",
        " ",
        "yes",
        "no",
        "on",
        "null",
        "~",
        "1_000",
        "1:30",
        "0x1F",
        "1.50",
        "2024-01-01",
        "<<",
        "- a",
        "a: b",
        "#c",
        "'",
        "\"",
        "${x}",
        "a\nb",
        "a\n\n b \n",
        "\t",
        " lead",
        "trail ",
        "\\u00e4",
        "ä😀",
        "%a",
        "@a",
        "!t",
        "&a",
        "*a",
        "{",
        "[",
        "|",
        ">",
        "=",
        "\u{85}",
        "\u{2028}",
        "\u{7f}",
        "\u{1}",
        "\r\n",
        "\u{feff}",
        "---",
        "...",
    ];
    prop_oneof![
        proptest::sample::select(awkward.to_vec()).prop_map(str::to_owned),
        "(?s).{0,20}"
    ]
}

fn props() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-z:= #!ä.\\\\]{0,3}[a-zä]", text(), 0..4)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-cA-C]",
        "[a-c.]{0,2}[a-c][ -]{0,1}[a-cä~]",
        Just("f".to_owned()),
        Just("yes".to_owned())
    ]
}

/// Flows whose jobs need earlier ones only; most are good.
fn flows() -> impl Strategy<Value = Flow> {
    let job = (
        name(),
        prop_oneof!["noop", "command", "java"],
        props(),
        proptest::collection::vec(0usize..6, 0..3),
    );
    (
        prop_oneof![Just("f"), Just("a b"), Just("1.0"), Just("ä.b")],
        proptest::collection::vec(job, 1..6),
        props(),
    )
        .prop_map(|(name, jobs, props)| {
            let names: Vec<String> = jobs.iter().map(|job| job.0.clone()).collect();
            let jobs = jobs
                .into_iter()
                .enumerate()
                .map(|(at, (name, kind, mut props, needs))| {
                    props.insert("command".to_owned(), "echo".to_owned());
                    let depends_on = needs
                        .into_iter()
                        .filter(|need| *need < at)
                        .map(|need| names[need].clone());
                    Job {
                        name,
                        kind,
                        props,
                        depends_on: depends_on.collect(),
                    }
                });
            Flow {
                props,
                ..flow(name, jobs.collect())
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A flow without findings is listed by the loader under its name alone, with all its jobs and properties.
    #[test]
    fn what_is_rendered_is_loaded(flow in flows()) {
        for format in [Format::V1, Format::V2] {
            if !check_flow(&flow, format).is_empty() {
                continue;
            }
            let project = project(&flow, format);
            prop_assert_eq!(check_tree(&project), []);
            let loaded = accepted(&project);
            prop_assert_eq!(loaded.listed().into_iter().collect::<Vec<_>>(), [flow.name.as_str()]);
            let nodes = &loaded.flow(flow.name.as_str()).unwrap().nodes;
            prop_assert!(nodes.len() >= flow.jobs.len());
            for job in &flow.jobs {
                let mut expected = flow.props.clone();
                expected.extend(job.props.clone());
                expected.insert("type".to_owned(), job.kind.clone());
                let is_there = nodes.iter().any(|node| {
                    let mut props = BTreeMap::clone(&node.props);
                    props.remove("dependencies");
                    props == expected
                });
                prop_assert!(is_there, "{:?} of {:?}", job.name, nodes);
            }
        }
    }

    /// Lifting and rendering again gives the same bytes, in one format and across both.
    #[test]
    fn lifted_flows_render_to_the_same_bytes(flow in flows()) {
        let both = [Format::V1, Format::V2];
        prop_assume!(both.iter().all(|format| check_flow(&flow, *format).is_empty()));
        let name = flow.name.as_str();
        for format in both {
            let first = project(&flow, format);
            let lifted = lift(&first, format, name).unwrap();
            prop_assert_eq!(&project(&lifted, format), &first);
        }
        let one = project(&flow, Format::V1);
        let two = project(&lift(&one, Format::V1, name).unwrap(), Format::V2);
        let again = lift(&two, Format::V2, name).unwrap();
        prop_assert_eq!(&project(&again, Format::V1), &one);
        prop_assert_eq!(&project(&again, Format::V2), &two);
        prop_assert_eq!(&project(&lift(&project(&flow, Format::V2), Format::V2, name).unwrap(), Format::V1), &one);
    }
}
