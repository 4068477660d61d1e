//! Mistakes in a whole project: the sentence, the file and the line of each.

use flowlift_azkaban::load::{Load, load};
use flowlift_azkaban::{PROJECT_FILE, check_tree};

use crate::tree;

fn found(files: &[(&str, &str)]) -> Vec<String> {
    check_tree(&tree(files)).iter().map(ToString::to_string).collect()
}

/// The findings about one flow file `f.flow`.
fn two(text: &str) -> Vec<String> {
    found(&[PROJECT_FILE, ("f.flow", text)])
}

#[test]
fn good_projects_have_no_findings() {
    assert!(found(&[]).is_empty());
    assert!(
        found(&[
            ("a.job", "type=noop"),
            ("b.job", "type=noop\ndependencies=a"),
            ("x.sh", "")
        ])
        .is_empty()
    );
    assert!(found(&[("p.properties", "type=noop"), ("a.job", "")]).is_empty());
    assert!(two("nodes: [{name: a, type: noop}]").is_empty());
}

#[test]
fn all_mistakes_of_a_flow_1_project_are_told_at_once() {
    assert_eq!(
        found(&[
            ("a.job", "# comment\ntype=noop\ndependencies=b,\\\n  nope"),
            ("b.job", "type=noop\ndependencies=c"),
            ("c.job", "type=noop\ndependencies=b"),
            ("d.job", "x=1\ny=\\uZZ"),
            ("e.job", "Xmx=3G"),
            ("s/e.job", "type=noop"),
            ("x,y.job", "type=noop\ndependencies=x,y"),
        ]),
        [
            "a.job:3: dependencies: job \"a\" depends on \"nope\", which is not in the project",
            "b.job:2: dependencies: jobs depend on each other in a circle: b -> c -> b",
            "d.job:2: a \\u must be followed by four hexadecimal digits",
            "e.job: type: job \"e\" has no type",
            "e.job:1: Xmx: Xmx of job \"e\" is 3G, at most 2G is allowed",
            "s/e.job: job \"e\" is already in e.job, and job names are unique in a whole project",
            "x,y.job: flow name \"x,y\" must not contain a comma",
            "x,y.job:2: dependencies: job \"x,y\" depends on \"x\", which is not in the project",
            "x,y.job:2: dependencies: job \"x,y\" depends on \"y\", which is not in the project",
        ]
    );
}

#[test]
fn an_inherited_mistake_is_told_where_it_is_written() {
    assert_eq!(
        found(&[("p.properties", "\nXmx=9G"), ("a.job", "type=noop")]),
        ["p.properties:2: Xmx: Xmx of job \"a\" is 9G, at most 2G is allowed"]
    );
}

#[test]
fn flows_that_azkaban_would_lose_without_a_word_are_found() {
    assert_eq!(
        found(&[
            ("a.job", "type=noop\ndependencies=b"),
            ("b.job", "type=noop\ndependencies=a")
        ]),
        ["a.job:2: dependencies: jobs depend on each other in a circle: a -> b -> a"]
    );
    assert_eq!(
        found(&[("f.flow", "nodes: []"), ("g.flow", "nodes: []")]),
        [
            "f.flow: without a .project file this (and 1 more) is not read and its flows would be lost; add a .project \
          file with azkaban-flow-version: 2.0"
        ]
    );
    assert!(
        found(&[("a.flow", "anything"), ("a.job", "type=noop")]).is_empty(),
        "it is a Flow 1.0 project"
    );
    assert_eq!(
        found(&[PROJECT_FILE, ("a.job", "type=noop")]),
        ["a.job: beside a .project file this is not read and its flows would be lost"]
    );
}

#[test]
fn names_that_differ_in_case_alone_are_found() {
    assert_eq!(
        found(&[("FA.job", "type=noop"), ("s/fa.job", "type=noop")]),
        ["s/fa.job: flow name \"fa\" differs from \"FA\" in case alone"]
    );
    assert_eq!(
        found(&[
            ("A.job", "type=noop"),
            ("a.job", "type=noop"),
            ("z.job", "type=noop\ndependencies=a,A")
        ]),
        ["a.job: the path differs from A.job in case alone"]
    );
    let flow = "nodes: [{name: a, type: noop}]";
    assert_eq!(
        found(&[PROJECT_FILE, ("F.flow", flow), ("f.flow", flow)]),
        ["f.flow: flow name \"f\" differs from \"F\" in case alone"]
    );
}

#[test]
fn lengths_are_limited() {
    let path = format!("{}/a.job", "x".repeat(250));
    assert_eq!(
        found(&[(&path, "type=noop")]),
        [format!(
            "{path}: the path has 256 characters, at most 255 are allowed"
        )]
    );
    let name = format!("{}.flow", "x".repeat(124));
    assert_eq!(
        found(&[PROJECT_FILE, (&name, "nodes: []")]),
        [format!(
            "{name}: flow name has 124 characters, at most 123 are allowed in Flow 2.0"
        )]
    );
    let large = format!("nodes: []\n#{}", "x".repeat(11 << 20));
    assert_eq!(
        two(&large),
        ["f.flow: the file is larger than the 10 MiB that Azkaban takes"]
    );
}

#[test]
fn embedded_flows_are_checked() {
    assert_eq!(
        found(&[("a.job", "type=flow\nflow.name=nope"), ("b.job", "type=flow")]),
        [
            "a.job:2: flow.name: job \"a\" runs flow \"nope\", which is not in the project",
            "b.job: flow.name: job \"b\" has type flow, but no flow.name",
        ]
    );
    assert_eq!(
        found(&[
            ("a.job", "type=flow\nflow.name=b"),
            ("b.job", "type=noop"),
            ("c.job", "type=noop\ndependencies=b")
        ]),
        ["a.job:2: flow.name: job \"a\" runs \"b\", which is no flow because other jobs depend on it"]
    );
    assert_eq!(
        found(&[("a.job", "type=flow\nflow.name=a")]),
        ["a.job: Azkaban refuses it: Embedded flow cycle found in a->a"]
    );
}

#[test]
fn conditions_are_checked() {
    assert_eq!(
        found(&[("a.job", "type=noop\ncondition=${b:x} && foo")]),
        [
            "a.job:2: condition: the condition of job \"a\" must be made of one macro such as one_success, ${job:key}, \
             numbers and strings",
            "a.job:2: condition: the condition of job \"a\" names \"b\", which is not in the project",
        ]
    );
}

#[test]
fn all_mistakes_of_a_flow_2_project_are_told_at_once() {
    let text = "\
nodes:
- name: a
  type: noop
  dependsOn: [b, nope, a]
- name: b
  dependsOn: [a]
- name: b
  type: noop
  config: {Xmx: zz}
- type: noop
- name: sub
  type: flow
  nodes:
  - name: in
    type: noop
    condition: foo
    dependsOn: [out]
";
    assert_eq!(
        two(text),
        [
            "f.flow:2: a.dependsOn: job \"a\" depends on \"nope\", which is not in the flow",
            "f.flow:2: a.dependsOn: job \"a\" depends on itself",
            "f.flow:5: b.type: job \"b\" has no type",
            "f.flow:7: b: job \"b\" is given twice in one flow",
            "f.flow:7: b.config.Xmx: Xmx of job \"b\" is \"zz\", which is no amount of memory such as 512M or 1G",
            "f.flow:10: a node has no name",
            "f.flow:14: sub:in.condition: the condition of job \"in\" must be made of one macro such as one_success, \
             ${job:key}, numbers and strings",
            "f.flow:14: sub:in.dependsOn: job \"in\" depends on \"out\", which is not in the flow",
        ]
    );
    assert_eq!(
        two("nodes:\n- {name: a, type: noop, dependsOn: [b]}\n- {name: b, type: noop, dependsOn: [a]}"),
        ["f.flow:2: a.dependsOn: jobs depend on each other in a circle: a -> b -> a"]
    );
}

#[test]
fn flow_files_that_cannot_be_read_are_told_with_their_line() {
    for (text, expected) in [
        ("", "f.flow: the file is empty, expected is a flow with nodes"),
        ("config: {}", "f.flow:1: the flow has no nodes"),
        (
            "nodes:\n- name: a\n  typ: noop",
            "f.flow:3: key \"typ\" is not known here, expected is one of name, type, dependsOn, condition, config, \
             nodes, trigger",
        ),
        (
            "nodes:\n- {name: a, type: noop, config: {x: [1]}}",
            "f.flow:2: one text or number is expected here, no list or mapping",
        ),
        ("nodes:\n  hello", "f.flow:2: a list is expected here"),
        (
            "a: 1\nb: \u{1}",
            "f.flow:2: the file has a control character, which must be written as an escape in quotes",
        ),
    ] {
        assert_eq!(two(text), [expected], "{text}");
    }
    let broken = two("nodes:\n- {name: a");
    assert!(
        broken.len() == 1 && broken[0].starts_with("f.flow:"),
        "{broken:?}"
    );
}

#[test]
fn project_files_are_checked() {
    let hint = "p.project: the .project file must say azkaban-flow-version: 2.0, with the point";
    for text in ["", "azkaban-flow-version: 2", "x", "azkaban-flow-version:"] {
        assert_eq!(found(&[("p.project", text)]), [hint], "{text}");
    }
    assert_eq!(
        found(&[("p.project", ""), ("q.project", "")]),
        ["p.project: one folder must not have two .project files"]
    );
}

#[test]
fn triggers_are_refused_in_azkabans_words() {
    assert_eq!(
        two("nodes: []\ntrigger: {}"),
        [
            "f.flow: Azkaban refuses it: Error loading flow yaml file f.flow:flow trigger schedule must not be null"
        ]
    );
}

#[test]
fn a_project_without_findings_is_accepted() {
    let lines = [
        "",
        "type=noop",
        "type=noop\ndependencies=a",
        "type=noop\ndependencies=b,c",
        "type=flow\nflow.name=a",
        "condition=x",
        "type=noop\nXmx=x",
    ];
    let mut good = 0;
    for code in 0..lines.len().pow(3) {
        let at = |n: u32| lines[code / lines.len().pow(n) % lines.len()];
        let project = tree(&[("a.job", at(0)), ("b.job", at(1)), ("c.job", at(2))]);
        let accepted = matches!(load(&project), Load::Flows(_));
        let clean = check_tree(&project).is_empty();
        assert!(accepted || !clean, "{project:?}");
        good += usize::from(clean);
    }
    assert!(good > 5, "{good}");
}
