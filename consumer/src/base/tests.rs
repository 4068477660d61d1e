use flowlift_azkaban::{FlowName, Format, ProjectName};
use flowlift_common::manifest::{self, FlowEntry, Manifest, digest};
use flowlift_common::{Order, RunId};

use super::*;

fn project() -> ProjectName {
    ProjectName::new("p").unwrap()
}

fn order(seq: u64) -> Order {
    Order {
        rank: 1,
        run: RunId(uuid::Uuid::nil()),
        seq,
    }
}

/// Flows of one job each: name and content.
fn tree(flows: &[(&str, &str)]) -> Tree {
    let job = |(flow, content): &(&str, &str)| {
        (
            format!("{flow}.job"),
            format!("type=command\ncommand={content}\n").into(),
        )
    };
    flows.iter().map(job).collect()
}

/// One of ours: generation, the version it was built on, flows with content and the order of the change that brought them.
fn ours(
    number: u32,
    generation: u64,
    base: u32,
    flows: &[(&str, &str, u64)],
    gone: &[(&str, u64)],
) -> Version {
    let mut tree = tree(
        &flows
            .iter()
            .map(|(flow, content, _)| (*flow, *content))
            .collect::<Vec<_>>(),
    );
    let mut manifest = Manifest::empty(Format::V1);
    manifest.project = "p".into();
    manifest.attempt = format!("ours-{generation}-{number}.zip");
    manifest.generation = generation;
    manifest.base = (base > 0).then(|| BaseRef {
        version: base,
        file: format!("v{base}"),
    });
    for (flow, _, seq) in flows.iter().filter(|(_, _, seq)| *seq > 0) {
        let entry = FlowEntry {
            name: FlowName::new(*flow).unwrap(),
            order: order(*seq),
            owner: String::new(),
            owned_at: None,
            cron: None,
            cron_at: None,
        };
        manifest.flows.insert((*flow).into(), entry);
    }
    manifest.gone_flows = gone
        .iter()
        .map(|(flow, seq)| ((*flow).into(), order(*seq)))
        .collect();
    manifest.digest = digest(&tree);
    let name = manifest.attempt.clone();
    tree.insert(manifest::PATH.into(), manifest.write().into());
    let version = Version::of_files(&project(), number, name, tree).unwrap();
    assert!(version.ours().is_some());
    version
}

/// A person's zip, with the manifest it was made from or none.
fn theirs(number: u32, flows: &[(&str, &str)], from: Option<&Version>) -> Version {
    let mut tree = tree(flows);
    if let Some(manifest) = from.and_then(|from| from.manifest.as_ref()) {
        tree.insert(manifest::PATH.into(), manifest.write().into());
    }
    Version::of_files(&project(), number, "by-hand.zip".into(), tree).unwrap()
}

fn told(landed: Vec<Version>) -> Told {
    truth(landed, &[]).unwrap()
}

fn content(base: &Base) -> Vec<(String, String)> {
    let one = |(path, content): (&String, &Bytes)| {
        let text = String::from_utf8_lossy(content);
        let command = text.lines().find_map(|line| line.strip_prefix("command="));
        (
            path.trim_end_matches(".job").to_owned(),
            command.unwrap_or_default().to_owned(),
        )
    };
    base.tree.iter().map(one).collect()
}

fn is(base: &Base, flows: &[(&str, &str)]) {
    let flows: Vec<(String, String)> = flows.iter().map(|(f, c)| ((*f).into(), (*c).into())).collect();
    assert_eq!(content(base), flows);
}

/// Replaces files of a version, as its maker sees to it that the manifest still fits.
fn with_files(version: &Version, files: &[(&str, Option<&str>)], ours: bool) -> Version {
    let mut tree = version.tree.clone();
    for (path, content) in files {
        match content {
            Some(content) => tree.insert((*path).to_owned(), content.to_string().into()),
            None => tree.remove(*path),
        };
    }
    let mut manifest = version.manifest.clone().unwrap();
    if ours {
        manifest.digest = digest(&tree);
    }
    tree.insert(manifest::PATH.into(), manifest.write().into());
    let name = if ours {
        version.file_name.clone()
    } else {
        "by-hand.zip".into()
    };
    Version::of_files(&project(), version.number, name, tree).unwrap()
}

#[test]
fn of_a_flow_with_several_jobs_that_both_changed_ours_counts_as_a_whole() {
    let (end, first) = ("dependencies=a~1\ntype=noop\n", "type=noop\n");
    let before = with_files(
        &ours(1, 1, 0, &[("a", "x", 1)], &[]),
        &[("a.job", Some(end)), ("a~1.job", Some(first))],
        true,
    );
    // we change the first job; the person makes it one job
    let after = with_files(
        &ours(2, 2, 1, &[("a", "x", 2)], &[]),
        &[
            ("a.job", Some(end)),
            ("a~1.job", Some("type=command\ncommand=new\n")),
        ],
        true,
    );
    let mut person = with_files(&before, &[("a.job", Some(first)), ("a~1.job", None)], false);
    person.number = 3;
    let told = told(vec![before, after.clone(), person]);
    assert_eq!(told.base.tree, after.tree);
    assert!(matches!(&told.findings[..], [Finding::Merged { conflicts, .. }] if conflicts.contains("a")));
}

#[test]
fn the_newest_of_ours_counts_when_each_was_built_on_the_one_before() {
    let told = told(vec![
        ours(1, 1, 0, &[("a", "x", 1)], &[]),
        ours(2, 2, 1, &[("a", "y", 2)], &[]),
    ]);
    is(&told.base, &[("a", "y")]);
    assert!(!told.base.repair && told.findings.is_empty());
    assert_eq!(told.base.manifest.unwrap().generation, 2);
}

#[test]
fn a_zombie_over_a_newer_one_does_not_count_and_its_flows_may_vanish() {
    let told = told(vec![
        ours(1, 1, 0, &[("a", "x", 1)], &[]),
        ours(2, 2, 1, &[("a", "x", 1), ("b", "x", 2)], &[]),
        ours(3, 2, 1, &[("a", "x", 1), ("z", "x", 3)], &[]),
    ]);
    is(&told.base, &[("a", "x"), ("b", "x")]);
    assert!(told.base.repair);
    assert_eq!(told.findings, [Finding::Zombie { version: 3 }]);
    assert!(told.base.strays.contains("z"));
    assert_eq!(
        told.base.active.unwrap().version,
        3,
        "the next one is built on what is active"
    );
}

#[test]
fn what_a_person_uploaded_before_a_zombie_counts_on() {
    let second = ours(2, 2, 1, &[("a", "x", 1), ("b", "x", 2)], &[]);
    let told = told(vec![
        ours(1, 1, 0, &[("a", "x", 1)], &[]),
        second.clone(),
        theirs(3, &[("a", "x"), ("b", "x"), ("mine", "m")], Some(&second)),
        ours(4, 2, 1, &[("a", "x", 1)], &[]),
    ]);
    is(&told.base, &[("a", "x"), ("b", "x"), ("mine", "m")]);
    assert!(told.base.repair);
}

#[test]
fn an_upload_of_ours_that_overwrote_a_persons_is_merged_with_it() {
    let first = ours(1, 1, 0, &[("a", "x", 1), ("b", "x", 2)], &[]);
    let told = told(vec![
        first.clone(),
        theirs(2, &[("a", "x"), ("b", "x"), ("mine", "m")], Some(&first)),
        ours(3, 2, 1, &[("a", "new", 3), ("b", "x", 2)], &[]),
    ]);
    is(&told.base, &[("a", "new"), ("b", "x"), ("mine", "m")]);
    assert!(told.base.repair, "the person's flow is not in the active version");
}

#[test]
fn what_a_person_removed_or_edited_in_our_latest_stays_so() {
    let first = ours(1, 1, 0, &[("a", "x", 1), ("b", "x", 2)], &[]);
    let told = told(vec![first.clone(), theirs(2, &[("a", "edited")], Some(&first))]);
    is(&told.base, &[("a", "edited")]);
    assert!(!told.base.repair);
    let manifest = told.base.manifest.unwrap();
    assert_eq!(
        manifest.gone_flows.get("b"),
        Some(&order(2)),
        "a redelivered change does not bring it back"
    );
    assert_eq!(manifest.flows["a"].order, order(1));
}

#[test]
fn a_stale_zip_takes_none_of_our_flows_away() {
    let first = ours(1, 1, 0, &[("a", "x", 1), ("b", "x", 2), ("c", "x", 3)], &[]);
    let second = ours(
        2,
        2,
        1,
        &[("a", "new", 4), ("d", "x", 5), ("c", "x", 3)],
        &[("b", 6)],
    );
    // made from the first: has a person's new flow and edit of c, the old a, the deleted b, and no d
    let by_hand = theirs(
        3,
        &[("a", "x"), ("b", "x"), ("c", "edited"), ("mine", "m")],
        Some(&first),
    );
    let expected = [("a", "new"), ("c", "edited"), ("d", "x"), ("mine", "m")];
    let all = told(vec![first.clone(), second.clone(), by_hand.clone()]);
    is(&all.base, &expected);
    assert!(all.base.repair && all.base.restored.contains("d") && all.base.restored.contains("a"));
    // the one it was made from is no longer kept: its manifest says what was applied when
    let without = told(vec![second, by_hand]);
    is(&without.base, &expected);
}

#[test]
fn without_a_manifest_nothing_that_is_missing_was_removed_on_purpose() {
    let first = ours(1, 1, 0, &[("a", "x", 1), ("b", "x", 2)], &[]);
    let second = ours(2, 2, 1, &[("a", "new", 3), ("b", "x", 2)], &[]);
    let told = told(vec![first, second, theirs(3, &[("a", "x"), ("mine", "m")], None)]);
    is(&told.base, &[("a", "new"), ("b", "x"), ("mine", "m")]);
    assert!(told.base.repair);
}

#[test]
fn where_both_changed_a_flow_ours_counts_and_it_is_said() {
    let first = ours(1, 1, 0, &[("a", "x", 1)], &[]);
    let second = ours(2, 2, 1, &[("a", "ours", 2)], &[]);
    let told = told(vec![
        first.clone(),
        second,
        theirs(3, &[("a", "theirs")], Some(&first)),
    ]);
    is(&told.base, &[("a", "ours")]);
    let [Finding::Merged { conflicts, .. }] = &told.findings[..] else {
        panic!("{:?}", told.findings);
    };
    assert!(conflicts.contains("a"));
}

#[test]
fn a_zip_of_ours_with_its_name_but_other_content_is_a_persons() {
    let first = ours(1, 1, 0, &[("a", "x", 1)], &[]);
    let mut files = tree(&[("a", "edited")]);
    files.insert(
        manifest::PATH.into(),
        first.manifest.as_ref().unwrap().write().into(),
    );
    let edited = Version::of_files(&project(), 2, first.file_name.clone(), files).unwrap();
    assert!(edited.ours().is_none());
    is(&told(vec![first, edited]).base, &[("a", "edited")]);
}

#[test]
fn a_generation_in_a_persons_zip_makes_no_zombie_of_ours_and_the_next_one_is_above_it() {
    // downloaded by a person although it had never landed
    let stillborn = ours(1, 2, 0, &[("a", "x", 1)], &[]);
    let by_hand = theirs(2, &[("a", "x"), ("mine", "m")], Some(&stillborn));
    let all = told(vec![
        by_hand.clone(),
        ours(3, 2, 2, &[("a", "x", 1), ("mine", "m", 0), ("b", "x", 5)], &[]),
    ]);
    is(&all.base, &[("a", "x"), ("b", "x"), ("mine", "m")]);
    assert!(!all.base.repair);
    assert_eq!(told(vec![by_hand]).base.manifest.unwrap().generation, 2);
}

#[test]
fn a_manifest_from_another_project_says_nothing_here() {
    let first = ours(1, 1, 0, &[("a", "x", 1)], &[]);
    let mut files = tree(&[("a", "x")]);
    files.insert(
        manifest::PATH.into(),
        first.manifest.as_ref().unwrap().write().into(),
    );
    let other = ProjectName::new("other").unwrap();
    let copied = Version::of_files(&other, 1, first.file_name, files).unwrap();
    assert!(copied.manifest.is_none());
}

#[test]
fn a_listed_flow_that_nothing_explains_is_an_error_and_a_half_failed_install_is_repaired() {
    let listed = |flows: &[&str]| {
        flows
            .iter()
            .map(|flow| (*flow).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let first = || ours(1, 1, 0, &[("a", "x", 1)], &[]);
    let mut base = told(vec![first()]).base;
    base.compare(listed(&["a"])).unwrap();
    assert!(!base.repair);
    assert!(told(vec![first()]).base.compare(listed(&["a", "new"])).is_err());
    let by_hand = theirs(2, &[("a", "x"), ("c", "x")], Some(&first()));
    let mut base = told(vec![first(), by_hand]).base;
    assert!(
        base.compare(listed(&["a"])).is_err(),
        "what people uploaded is not ours to repeat"
    );
    let mut base = told(vec![first()]).base;
    base.compare(listed(&[])).unwrap();
    assert!(base.repair, "a flow of ours was left out");
    let mut scheduled = told(vec![first()]).base;
    let cron = "0 0 3 ? * *".to_owned();
    scheduled
        .manifest
        .as_mut()
        .unwrap()
        .flows
        .get_mut("a")
        .unwrap()
        .cron = Some(cron.clone());
    scheduled.compare(listed(&[])).unwrap();
    assert_eq!(
        scheduled.dropped,
        [("a".to_owned(), cron)].into(),
        "its schedule went with it"
    );
    let failed = ours(2, 2, 1, &[("b", "x", 2)], &[("a", 3)]);
    let mut base = truth(vec![first()], &[failed]).unwrap().base;
    base.compare(listed(&["b"])).unwrap();
    assert!(base.repair);
    is(&base, &[("a", "x")]);
    let emptied = ours(2, 2, 1, &[], &[("a", 3)]);
    let mut base = truth(vec![first()], &[emptied]).unwrap().base;
    base.compare(listed(&[])).unwrap();
    assert!(base.repair);
}

mod asking {
    use super::*;
    use flowlift_azkaban::client::LogEntry;

    fn log(files: &[&str]) -> Vec<LogEntry> {
        let entry = |file: &&str| LogEntry {
            user: "azkaban".into(),
            time_ms: 0,
            kind: "UPLOADED".into(),
            message: Some(format!("Uploaded project files zip {file}")),
        };
        files.iter().map(entry).collect()
    }

    #[test]
    fn what_we_know_to_be_ours_needs_no_question() {
        let mut reading = Reading::begin(ours(4, 4, 3, &[("a", "x", 1)], &[]), true, "azkaban");
        assert_eq!(reading.need(), Need::Nothing);
        is(&reading.finish().unwrap().base, &[("a", "x")]);
    }

    #[test]
    fn one_of_ours_on_its_predecessor_needs_the_log_alone() {
        let mut reading = Reading::begin(ours(4, 4, 3, &[("a", "x", 1)], &[]), false, "azkaban");
        assert_eq!(reading.need(), Need::Log { skip: 0 });
        reading.log(log(&["ours-4-4.zip", "v3"]));
        assert_eq!(reading.need(), Need::Nothing);
        assert!(!reading.finish().unwrap().base.repair);
    }

    #[test]
    fn a_persons_upload_under_our_bases_name_is_not_passed_over() {
        let mut reading = Reading::begin(ours(5, 4, 3, &[("a", "x", 1)], &[]), false, "azkaban");
        reading.need();
        reading.log(log(&["ours-4-5.zip", "v3", "v3"]));
        assert_eq!(reading.need(), Need::Version(4));
    }

    #[test]
    fn a_rejected_zip_on_top_is_passed_over_although_it_makes_the_same_flows() {
        let rejected = ours(4, 4, 3, &[("a", "never active", 9)], &[]);
        let mut reading = Reading::begin(rejected, false, "azkaban");
        reading.need();
        reading.log(log(&["ours-3-3.zip"]));
        assert_eq!(reading.need(), Need::Version(3));
        reading.version(Some(ours(3, 3, 2, &[("a", "x", 1)], &[])));
        assert_eq!(reading.need(), Need::Version(2));
        reading.no_older();
        assert_eq!(reading.need(), Need::Nothing);
        let base = reading.finish().unwrap().base;
        is(&base, &[("a", "x")]);
        assert_eq!(
            base.manifest.unwrap().generation,
            4,
            "the next one is above the rejected one's, too"
        );
    }

    #[test]
    fn an_upload_that_comes_while_it_is_read_is_noticed() {
        let mut reading = Reading::begin(ours(4, 4, 3, &[("a", "x", 1)], &[]), false, "azkaban");
        reading.need();
        reading.log(log(&["quick.zip", "ours-4-4.zip", "v3"]));
        assert_eq!(reading.need(), Need::Version(3));
        reading.no_older();
        assert_eq!(reading.need(), Need::Nothing);
        assert!(matches!(reading.finish(), Err(BaseError::Moved)));
    }

    #[test]
    fn of_two_with_one_name_a_job_tells_which_is_active() {
        let begin = || {
            let mut reading = Reading::begin(theirs(2, &[("a", "refused")], None), false, "azkaban");
            reading.need();
            reading.log(log(&["by-hand.zip"]));
            assert_eq!(reading.need(), Need::Version(1));
            reading.version(Some(theirs(1, &[("a", "active")], None)));
            reading
        };
        let mut reading = begin();
        let Need::Job { flow, job } = reading.need() else {
            panic!("a job has to tell");
        };
        let params = |command: &str| {
            [
                ("type".to_owned(), "command".to_owned()),
                ("command".to_owned(), command.to_owned()),
            ]
            .into()
        };
        reading.job(&flow, &job, Some(&params("active")));
        assert_eq!(reading.need(), Need::Nothing);
        is(&reading.finish().unwrap().base, &[("a", "active")]);
    }

    #[test]
    fn of_two_with_one_name_the_listed_flows_tell_which_is_active() {
        for listed in ["a", "b"] {
            let mut reading = Reading::begin(theirs(2, &[("b", "x")], None), false, "azkaban");
            reading.need();
            reading.log(log(&["by-hand.zip"]));
            assert_eq!(reading.need(), Need::Version(1));
            reading.version(Some(theirs(1, &[("a", "x")], None)));
            assert_eq!(reading.need(), Need::Flows);
            reading.flows([listed.to_owned()].into());
            assert_eq!(reading.need(), Need::Nothing);
            is(&reading.finish().unwrap().base, &[(listed, "x")]);
        }
    }
}
