//! What the check finds, and that it finds all of it.

use super::*;
use crate::source::Lines;

fn lines(text: &str) -> Source {
    let project = ProjectName::new("p").ok();
    Source::Lines(Lines::spooled(text.as_bytes(), project, Schedule::Keep).unwrap())
}

fn sentences(text: &str) -> String {
    check(&lines(text), Format::V1, false, |_| {})
        .unwrap_err()
        .to_string()
}

#[test]
fn all_mistakes_come_at_once_each_with_its_line() {
    let text = r#"{"flow":"a","jobs":[{"name":"x","type":"noop","dependsOn":["y"]}]}
{"flow":"b","command":"x","cron":"0 0 3 * * *"}
{"flow":"A","command":"x"}
{"flow":"c","jobs":[]}
"#;
    assert_eq!(
        sentences(text),
        "standard input:1: jobs.x.dependsOn: job \"x\" depends on \"y\", which is not in the flow
standard input:2: cron: \"0 0 3 * * *\" of b: exactly one of day-of-month and day-of-week must be '?'
standard input:3: flow: flow \"A\" stands in line 1 already (case does not count)
standard input:4: jobs: flow \"c\" has no jobs
4 mistakes; nothing was queued"
    );
}

#[test]
fn of_many_mistakes_fifty_are_shown_and_the_rest_is_counted() {
    let text = sentences(&"{\"flow\":\"\",\"command\":\"x\"}\n".repeat(80));
    assert_eq!(text.lines().count(), 52);
    assert!(
        text.ends_with("and 30 more\n80 mistakes; nothing was queued"),
        "{text}"
    );
}

#[test]
fn a_change_that_is_too_large_even_in_parts_is_refused() {
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + ((state >> 40) % 90) as u8)
    })
    .filter(|c| !matches!(c, '"' | '\\'))
    .take(12 << 20)
    .collect();
    let act = Act::PutFile {
        path: "big.bin".into(),
        content: flowlift_common::Content(noise.into_bytes().into()),
    };
    let item = Item {
        project: ProjectName::new("p").unwrap(),
        place: Place::default(),
        act,
    };
    assert_eq!(alone(&item, Format::V1), [], "it goes in parts");
    let limits = (8 << 20, 64 << 20);
    let text = too_large(&item, limits).unwrap().to_string();
    assert!(
        text.starts_with("size: file big.bin has ")
            && text.ends_with("bytes compressed, at most 8 MiB are allowed in one change"),
        "{text}"
    );
    let bomb = Item {
        act: Act::PutFile {
            path: "zeros".into(),
            content: flowlift_common::Content(vec![b'0'; 65 << 20].into()),
        },
        ..item
    };
    assert_eq!(
        too_large(&bomb, limits).unwrap().to_string(),
        "size: file zeros has 65 MiB as JSON, at most 64 MiB are allowed in one change"
    );
}

#[test]
fn projects_that_differ_in_case_alone_are_refused() {
    let text = "{\"project\":\"Team\",\"flow\":\"a\",\"command\":\"x\"}\n{\"project\":\"team\",\"flow\":\"b\",\"command\":\"x\"}\n";
    assert!(
        sentences(text)
            .starts_with("standard input:2: project: project \"team\" differs from \"Team\" in case alone")
    );
}

#[test]
fn good_input_is_counted() {
    let text = "{\"flow\":\"a\",\"command\":\"x\"}\n{\"flow\":\"b\",\"delete\":true}\n{\"project\":\"q\",\"flow\":\"a\",\"command\":\"x\"}\n";
    let checked = check(&lines(text), Format::V1, true, |_| {}).unwrap();
    assert_eq!(
        (
            checked.changes(),
            checked.upserts,
            checked.deletions,
            checked.projects.len()
        ),
        (3, 2, 1, 2)
    );
    assert_eq!(checked.names.values().map(Vec::len).sum::<usize>(), 2);
}
