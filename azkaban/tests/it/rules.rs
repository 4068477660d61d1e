//! Mistakes in one flow: the sentence and the field of each.

use flowlift_azkaban::{Flow, Format, Job, check_flow};

use crate::{flow, job};

fn found(flow: &Flow, format: Format) -> Vec<String> {
    check_flow(flow, format).iter().map(ToString::to_string).collect()
}

fn with(props: &[(&str, &str)]) -> Job {
    let props = props
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Job {
        props: props.collect(),
        ..job("a", &[])
    }
}

/// The same in both formats, of a flow `f` with these jobs.
fn both(jobs: Vec<Job>) -> Vec<String> {
    let flow = flow("f", jobs);
    let one = found(&flow, Format::V1);
    assert_eq!(one, found(&flow, Format::V2));
    one
}

#[test]
fn good_flows_have_no_findings() {
    assert!(both(vec![job("a", &[]), job("b", &["a"])]).is_empty());
    assert!(
        both(vec![with(&[
            ("Xmx", "2G"),
            ("Xms", "${x}"),
            ("condition", "one_success")
        ])])
        .is_empty()
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mut jobs = vec![
        job("a", &["a", "x"]),
        job("b", &["c"]),
        job("c", &["d"]),
        job("d", &["b"]),
        job("e", &[]),
    ];
    jobs[4].kind = "command".to_owned();
    jobs[4].props.insert("Xmx".to_owned(), "9G".to_owned());
    assert_eq!(
        both(jobs),
        [
            "jobs.a.dependsOn: job \"a\" depends on itself",
            "jobs.a.dependsOn: job \"a\" depends on \"x\", which is not in the flow",
            "jobs.e.command: job \"e\" has type command, but no command",
            "jobs.e.Xmx: Xmx of job \"e\" is 9G, at most 2G is allowed",
            "jobs.b.dependsOn: jobs depend on each other in a circle: b -> c -> d -> b",
        ]
    );
}

#[test]
fn a_flow_has_jobs_with_types() {
    assert_eq!(both(vec![]), ["jobs: flow \"f\" has no jobs"]);
    assert_eq!(
        both(vec![Job {
            kind: " ".to_owned(),
            ..job("a", &[])
        }]),
        ["jobs.a.type: job \"a\" has no type"]
    );
    assert_eq!(
        both(vec![Job {
            kind: "noop ".to_owned(),
            ..job("a", &[])
        }]),
        ["jobs.a.type: type \"noop \" of job \"a\" must not have blanks at its ends"]
    );
}

#[test]
fn job_names_are_unique_and_usable() {
    assert_eq!(
        both(vec![job("a", &[]), job("a", &[])]),
        ["jobs[1].name: job name \"a\" is given twice"]
    );
    let twins = flow("f", vec![job("a", &[]), job("A", &[])]);
    assert_eq!(
        found(&twins, Format::V1),
        ["jobs[1].name: job names \"a\" and \"A\" differ in case alone, which Flow 1.0 ignores"]
    );
    assert!(found(&twins, Format::V2).is_empty());
    for name in ["", "ROOT", "a:b", "a\n", " a"] {
        assert_eq!(both(vec![job(name, &[])]).len(), 1, "{name:?}");
    }
    for name in ["a/b", "a\\b", "a,b"] {
        let flow = flow("f", vec![job(name, &[])]);
        assert_eq!(found(&flow, Format::V1).len(), 1, "{name:?}");
        assert!(found(&flow, Format::V2).is_empty(), "{name:?}");
    }
}

#[test]
fn flow_names_fit_their_format() {
    let long = flow(&"x".repeat(128), vec![job("a", &[])]);
    assert!(found(&long, Format::V1).is_empty());
    assert_eq!(
        found(&long, Format::V2),
        ["name: flow name has 128 characters, at most 123 are allowed in Flow 2.0"]
    );
    let tilde = flow("a~b", vec![job("a", &[])]);
    assert!(found(&tilde, Format::V2).is_empty());
    assert_eq!(
        found(&tilde, Format::V1),
        ["name: flow name \"a~b\" must not contain '~', which parts flow and job in Flow 1.0"]
    );
}

#[test]
fn memory_is_an_amount_within_the_limits() {
    assert_eq!(
        both(vec![with(&[("Xms", "zz")])]),
        ["jobs.a.Xms: Xms of job \"a\" is \"zz\", which is no amount of memory such as 512M or 1G"]
    );
    assert_eq!(
        both(vec![with(&[("Xms", "2G")])]),
        ["jobs.a.Xms: Xms of job \"a\" is 2G, at most 1G is allowed"]
    );
    let mut inherited = flow("f", vec![job("a", &[])]);
    inherited.props.insert("Xmx".to_owned(), "3G".to_owned());
    assert_eq!(
        found(&inherited, Format::V1),
        ["jobs.a.Xmx: Xmx of job \"a\" is 3G, at most 2G is allowed"]
    );
}

#[test]
fn reserved_and_unusable_keys_are_refused() {
    assert_eq!(
        both(vec![with(&[
            ("type", "x"),
            ("dependencies", "b"),
            ("root.node", "true")
        ])]),
        [
            "jobs.a.props.dependencies: job \"a\" must not have the property \"dependencies\"; dependencies are \
             listed in dependsOn",
            "jobs.a.props.root.node: job \"a\" must not have the property \"root.node\"; a flow's end job is found by \
             itself",
            "jobs.a.props.type: job \"a\" must not have the property \"type\"; a job's type is its own field",
        ]
    );
    for key in ["", " a", "a\n"] {
        assert_eq!(both(vec![with(&[(key, "x")])]).len(), 1, "{key:?}");
    }
    let mut conditional = flow("f", vec![job("a", &[])]);
    conditional
        .props
        .insert("condition".to_owned(), "all_done".to_owned());
    assert_eq!(
        found(&conditional, Format::V2),
        ["props.condition: a condition belongs to one job, not to the flow"]
    );
}

#[test]
fn conditions_are_understood_and_name_jobs_of_the_flow() {
    for (condition, expected) in [
        (
            "one_success && all_done",
            "has more than one macro such as one_success",
        ),
        ("&& 1", "has nothing between two operators"),
        (
            "foo",
            "must be made of one macro such as one_success, ${job:key}, numbers and strings",
        ),
        ("${x:y} == 1", "names \"x\", which is not in the flow"),
    ] {
        assert_eq!(
            both(vec![with(&[("condition", condition)])]),
            [format!("jobs.a.condition: the condition of job \"a\" {expected}")]
        );
    }
    let backwards = flow("f", vec![with(&[("condition", "${b:x}")]), job("b", &["a"])]);
    assert!(found(&backwards, Format::V1).is_empty());
    assert_eq!(
        found(&backwards, Format::V2),
        ["jobs.a.condition: the condition of job \"a\" names \"b\", which itself depends on the job"]
    );
    let blank = flow(
        "my flow",
        vec![
            job("b", &[]),
            Job {
                depends_on: vec!["b".to_owned()],
                ..with(&[("condition", "${b:x}")])
            },
        ],
    );
    assert_eq!(
        found(&blank, Format::V1),
        [
            "jobs.a.condition: the condition of job \"a\" names \"b\", which Flow 1.0 cannot find: its id \"my flow~b\" \
          has a blank or bracket"
        ]
    );
    assert!(found(&blank, Format::V2).is_empty());
}

#[test]
fn embedded_flows_need_flow_1_and_a_name() {
    let embedding = |props: &[(&str, &str)]| {
        flow(
            "f",
            vec![Job {
                kind: "flow".to_owned(),
                ..with(props)
            }],
        )
    };
    assert!(found(&embedding(&[("flow.name", "g")]), Format::V1).is_empty());
    assert_eq!(
        found(&embedding(&[]), Format::V1),
        ["jobs.a.flow.name: job \"a\" has type flow, but no flow.name"]
    );
    assert_eq!(
        found(&embedding(&[("flow.name", "g")]), Format::V2),
        ["jobs.a.type: job \"a\" has type flow, which in Flow 2.0 needs jobs of its own"]
    );
}

#[test]
fn sizes_are_limited() {
    let long = "x".repeat(300);
    let path = flow("f", vec![job(&long, &[]), job("b", &[&long])]);
    assert_eq!(found(&path, Format::V1).len(), 1);
    assert!(found(&path, Format::V2).is_empty());

    let noise = |bytes: usize| {
        let mut state = 1u64;
        let text = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + u8::try_from(state >> 58).unwrap())
        });
        text.take(bytes).collect::<String>()
    };
    let large = |text: &str| flow("f", vec![with(&[("x", text)])]);
    assert!(
        found(&large(&"x".repeat(100_000)), Format::V1).is_empty(),
        "packs well"
    );
    assert_eq!(
        found(&large(&noise(100_000)), Format::V1),
        ["jobs.a.props: the properties of job \"a\" take more than 64 KiB, even packed"]
    );
    assert_eq!(
        found(&large(&noise(11 << 20)), Format::V2),
        ["jobs: the flow's file is larger than the 10 MiB that Azkaban takes"]
    );
}

#[test]
fn thousands_of_jobs_in_a_row_are_refused() {
    let row = |count: usize| {
        let jobs = (0..count).map(|at| match at {
            0 => job("j0", &[]),
            _ => job(&format!("j{at}"), &[&format!("j{}", at - 1)]),
        });
        flow("f", jobs.collect())
    };
    assert!(found(&row(1_000), Format::V1).is_empty());
    assert_eq!(
        found(&row(1_001), Format::V1),
        [
            "jobs.j1000.dependsOn: 1001 jobs wait for each other in a row, more than 1000 can crash Azkaban's upload"
        ]
    );
}
