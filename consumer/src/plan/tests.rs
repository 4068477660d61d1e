use std::collections::BTreeMap;

use bytes::Bytes;
use flowlift_azkaban::{Flow, FlowName, Format, Job, ProjectName, Tree, archive};
use flowlift_common::{Act, Body, Change, Content, Pattern, RunId, Schedule, Unit, Upsert};
use uuid::Uuid;

use super::*;

mod cancelled;
mod missing;
mod order;

struct Sent {
    rank: u64,
    owner: String,
    rules: Rules,
    change: Change,
}

fn flow(name: &str, command: &str) -> Act {
    let props = BTreeMap::from([("command".to_owned(), command.to_owned())]);
    let job = Job {
        name: name.into(),
        kind: "command".into(),
        props,
        depends_on: vec![],
    };
    let flow = Flow {
        name: FlowName::new(name).unwrap(),
        jobs: vec![job],
        props: BTreeMap::new(),
    };
    Act::Upsert(Upsert {
        body: Body::Flow(flow),
        schedule: Schedule::Keep,
    })
}

fn unit(flows: &[&str], files: &[(&str, &str)]) -> Act {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), Content(Bytes::from((*text).to_owned()))))
        .collect();
    let flows = flows.iter().map(|name| FlowName::new(*name).unwrap()).collect();
    let body = Body::Unit(Unit {
        format: Format::V1,
        flows,
        files,
    });
    Act::Upsert(Upsert {
        body,
        schedule: Schedule::Keep,
    })
}

fn delete(name: &str) -> Act {
    Act::Delete {
        flow: FlowName::new(name).unwrap(),
    }
}

fn matching(glob: &str) -> Act {
    Act::DeleteMatching(Pattern {
        glob: glob.into(),
        except: vec![],
    })
}

fn sent(rank: u64, act: Act) -> Sent {
    Sent {
        rank,
        owner: String::new(),
        rules: Rules::default(),
        change: Change { seq: rank, act },
    }
}

fn owned(rank: u64, owner: &str, act: Act) -> Sent {
    Sent {
        owner: owner.into(),
        ..sent(rank, act)
    }
}

/// Plans in the order given, which is the order of delivery.
fn planned(base: &Base, changes: &[Sent]) -> Plan {
    let asked: Vec<Asked<'_>> = changes.iter().map(asked).collect();
    let format = format_for(base, &asked);
    plan(base, format, asked, &changes, &Seen::default())
}

impl Changes for &[Sent] {
    fn with(&self, id: ChangeId, take: &mut dyn FnMut(&Change)) {
        let is = |sent: &&Sent| (sent.rank, sent.change.seq) == (id.receipt, id.seq);
        take(&self.iter().find(is).unwrap().change);
    }
}

fn asked(sent: &Sent) -> Asked<'_> {
    Asked {
        id: ChangeId {
            receipt: sent.rank,
            seq: sent.change.seq,
        },
        order: Order {
            rank: sent.rank,
            run: RunId(Uuid::nil()),
            seq: sent.change.seq,
        },
        owner: &sent.owner,
        rules: sent.rules,
        cancelled: false,
        missing: None,
        kind: Kind::of(&sent.change, sent.rules),
    }
}

fn read(zip: Bytes) -> Result<Base, crate::base::BaseError> {
    Base::read(&ProjectName::new("p").unwrap(), zip)
}

/// What the project holds after a plan was uploaded.
fn landed(base: &Base, plan: &Plan) -> Base {
    let project = ProjectName::new("p").unwrap();
    let tree = crate::pack::contents(&project, base, &mut plan.clone(), "attempt.zip");
    read(archive::write_zip(&tree).into()).unwrap()
}

fn apply(base: &Base, changes: &[Sent]) -> (Base, Vec<Decision>) {
    let plan = planned(base, changes);
    let decisions = plan
        .decisions
        .iter()
        .map(|(_, decision)| decision.clone())
        .collect();
    (landed(base, &plan), decisions)
}

fn flows(base: &Base) -> Vec<&str> {
    base.loaded.listed().into_iter().collect()
}

const APPLY: Decision = Decision::Apply(None);

#[test]
fn what_is_published_again_needs_no_upload() {
    let (base, decisions) = apply(
        &Base::empty(),
        &[sent(1, flow("a", "x")), sent(2, flow("b", "y"))],
    );
    assert_eq!(decisions, [APPLY, APPLY]);
    assert_eq!(flows(&base), ["a", "b"]);
    let again = planned(&base, &[sent(3, flow("a", "x"))]);
    assert_eq!(again.decisions[0].1, Decision::Unchanged);
    assert!(!again.upload && again.put.is_empty());
    assert_eq!(again.seen.flows.len(), 1, "its order is remembered all the same");
}

#[test]
fn the_highest_order_wins_whatever_came_when() {
    let (base, decisions) = apply(
        &Base::empty(),
        &[sent(5, flow("a", "new")), sent(3, flow("a", "old"))],
    );
    assert_eq!(decisions, [Decision::Superseded, APPLY]);
    let (base, decisions) = apply(&base, &[sent(4, flow("a", "late")), sent(5, flow("a", "new"))]);
    assert_eq!(decisions, [Decision::Superseded, Decision::Unchanged]);
    let job = base
        .tree
        .iter()
        .find(|(path, _)| path.ends_with("a.job"))
        .unwrap()
        .1;
    assert!(String::from_utf8_lossy(job).contains("new"));
}

#[test]
fn an_older_change_never_brings_a_deleted_flow_back() {
    let (base, _) = apply(
        &Base::empty(),
        &[sent(1, flow("a", "x")), sent(2, flow("b", "x"))],
    );
    let (base, decisions) = apply(&base, &[sent(9, delete("A"))]);
    assert_eq!((decisions, flows(&base)), (vec![APPLY], vec!["b"]));
    let (base, decisions) = apply(&base, &[sent(8, flow("a", "late"))]);
    assert_eq!((decisions, flows(&base)), (vec![Decision::Superseded], vec!["b"]));
    let (base, decisions) = apply(&base, &[sent(10, flow("a", "again"))]);
    assert_eq!((decisions, flows(&base)), (vec![APPLY], vec!["a", "b"]));
}

#[test]
fn a_pattern_counts_flows_queued_before_it_and_spares_other_owners_and_strangers() {
    let stranger = archive::write_zip(&BTreeMap::from([(
        "web.job".to_owned(),
        Bytes::from("type=noop\n"),
    )]));
    let base = read(stranger.into()).unwrap();
    let (base, _) = apply(
        &base,
        &[sent(1, flow("old", "x")), owned(2, "team", flow("theirs", "x"))],
    );
    let (base, decisions) = apply(
        &base,
        &[
            sent(3, flow("queued", "x")),
            sent(4, matching("*")),
            sent(5, flow("after", "x")),
        ],
    );
    assert_eq!(decisions, [Decision::Superseded, APPLY, APPLY]);
    assert_eq!(flows(&base), ["after", "theirs", "web"]);
    let (base, decisions) = apply(&base, &[sent(3, flow("queued", "x"))]);
    assert_eq!((decisions, flows(&base).len()), (vec![Decision::Superseded], 3));
}

#[test]
fn another_owners_flow_is_never_changed_or_deleted() {
    let (base, _) = apply(&Base::empty(), &[owned(1, "team", flow("a", "x"))]);
    let (_, decisions) = apply(&base, &[sent(2, flow("a", "mine")), sent(3, delete("a"))]);
    for decision in decisions {
        assert_eq!(decision, Decision::Dead("flow a belongs to owner team".into()));
    }
}

#[test]
fn a_flow_that_nobody_owns_is_adopted_and_the_outcome_says_so() {
    let stranger = archive::write_zip(&BTreeMap::from([(
        "web.job".to_owned(),
        Bytes::from("type=noop\n"),
    )]));
    let base = read(stranger.into()).unwrap();
    let (after, decisions) = apply(&base, &[sent(1, flow("web", "x"))]);
    assert_eq!(decisions, [Decision::Apply(Some("adopted: nobody owned it"))]);
    assert!(after.manifest.unwrap().flows.contains_key("web"));
    let mut strict = sent(1, flow("web", "x"));
    strict.rules.adopt = false;
    assert!(
        matches!(&planned(&base, &[strict]).decisions[0].1, Decision::Dead(reason) if reason.contains("adopting"))
    );
}

#[test]
fn deleting_one_flow_keeps_the_shared_jobs_the_other_needs() {
    let files = [
        ("a.job", "type=noop\ndependencies=shared\n"),
        ("b.job", "type=noop\ndependencies=shared\n"),
        ("shared.job", "type=noop\n"),
    ];
    let (base, _) = apply(&Base::empty(), &[sent(1, unit(&["a", "b"], &files))]);
    assert_eq!(flows(&base), ["a", "b"]);
    let (base, _) = apply(&base, &[sent(2, delete("a"))]);
    assert_eq!(flows(&base), ["b"]);
    assert!(base.tree.contains_key("shared.job") && !base.tree.contains_key("a.job"));
    let (base, _) = apply(&base, &[sent(3, delete("b"))]);
    assert!(base.tree.is_empty());
}

#[test]
fn a_check_changes_nothing_by_itself_and_says_when_something_came_back() {
    let (base, decided) = apply(&Base::empty(), &[sent(1, flow("a", "x")), sent(2, Act::Check)]);
    assert_eq!(decided, [APPLY, Decision::Unchanged]);
    let lost = Base {
        repair: true,
        restored: ["a".to_owned()].into(),
        ..base
    };
    let plan = planned(&lost, &[sent(2, Act::Check)]);
    assert_eq!(plan.decisions[0].1, Decision::Restored);
    assert!(plan.upload && plan.restored[0].2 == "a");
    let newer = planned(&lost, &[sent(3, flow("a", "y"))]);
    assert!(newer.upload && newer.restored.is_empty());
}

#[test]
fn the_shrink_guard_names_what_would_vanish_without_a_reason() {
    let listed = |base: Base, flows: &[&str]| Base {
        listed: flows.iter().map(|flow| (*flow).to_owned()).collect(),
        ..base
    };
    let (base, _) = apply(
        &Base::empty(),
        &[sent(1, flow("a", "x")), sent(2, flow("b", "x"))],
    );
    let unexplained = |base: &Base| planned(base, &[sent(3, delete("a"))]).unexplained;
    assert!(unexplained(&listed(base.clone(), &["a", "b"])).is_empty());
    let more = listed(base, &["a", "b", "Misread"]);
    assert!(unexplained(&more).contains("Misread"));
    let stray = Base {
        strays: ["misread".to_owned()].into(),
        ..more
    };
    assert!(unexplained(&stray).is_empty());
}

#[test]
fn what_an_upload_took_from_a_flow_that_is_there_again_is_set_again_unless_a_change_says_otherwise() {
    let (base, _) = apply(&Base::empty(), &[sent(1, flow("a", "x"))]);
    let base = Base {
        dropped: [("a".to_owned(), "0 0 3 ? * *".to_owned())].into(),
        ..base
    };
    let steps = planned(&base, &[sent(2, Act::Check)]).schedules;
    assert_eq!(
        (steps[0].flow.as_str(), &steps[0].wish),
        ("a", &Wish::Restore("0 0 3 ? * *".into()))
    );
    let Act::Upsert(mut upsert) = flow("a", "x") else {
        unreachable!()
    };
    let again = planned(&base, &[sent(3, delete("a")), sent(4, flow("a", "x"))]);
    let again = Base {
        dropped: base.dropped.clone(),
        ..landed(&base, &again)
    };
    assert!(
        planned(&again, &[sent(5, Act::Check)]).schedules.is_empty(),
        "a deletion took it, not an upload"
    );
    upsert.schedule = Schedule::Remove;
    let steps = planned(&base, &[sent(3, Act::Upsert(upsert))]).schedules;
    assert_eq!((steps.len(), &steps[0].wish), (1, &Wish::Remove));
}

#[test]
fn a_change_that_would_make_another_flow_vanish_is_convicted_and_the_rest_applied() {
    let (base, _) = apply(&Base::empty(), &[sent(1, flow("victim", "x"))]);
    let grab = unit(
        &["grab"],
        &[
            ("grab.job", "type=noop\ndependencies=victim\n"),
            ("victim.job", "type=noop\n"),
        ],
    );
    let (after, decisions) = apply(&base, &[sent(2, grab), sent(3, flow("fine", "x"))]);
    assert!(matches!(&decisions[0], Decision::Dead(_)), "{decisions:?}");
    assert_eq!(decisions[1], APPLY);
    assert_eq!(flows(&after), ["fine", "victim"]);
}

#[test]
fn a_unit_that_cannot_stand_alone_is_dead_with_azkabans_words() {
    let (_, decisions) = apply(
        &Base::empty(),
        &[sent(
            1,
            unit(&["a"], &[("a.job", "type=noop\ndependencies=nope\n")]),
        )],
    );
    assert_eq!(
        decisions,
        [Decision::Dead("a cannot find dependency nope".into())]
    );
}

#[test]
fn names_that_differ_in_case_only_are_refused() {
    let (base, _) = apply(&Base::empty(), &[sent(1, flow("Flow", "x"))]);
    let (_, decisions) = apply(&base, &[sent(2, flow("flow", "x"))]);
    assert!(matches!(&decisions[0], Decision::Dead(reason) if reason.contains("differs in case only")));
}

#[test]
fn untouched_files_stay_byte_for_byte_and_shared_files_are_put_and_taken_away() {
    let put = |rank, text: &str| {
        sent(
            rank,
            Act::PutFile {
                path: "bin/run.sh".into(),
                content: Content(Bytes::from(text.to_owned())),
            },
        )
    };
    let stranger = BTreeMap::from([("notes.txt".to_owned(), Bytes::from("hello"))]);
    let base = read(archive::write_zip(&stranger).into()).unwrap();
    let (base, decisions) = apply(&base, &[put(1, "echo"), sent(2, flow("a", "sh bin/run.sh"))]);
    assert_eq!(decisions, [APPLY, APPLY]);
    let (base, decisions) = apply(
        &base,
        &[
            put(1, "late"),
            sent(
                3,
                Act::DeleteFile {
                    path: "bin/run.sh".into(),
                },
            ),
        ],
    );
    assert_eq!(decisions, [Decision::Unchanged, APPLY]);
    assert_eq!(base.tree.get("notes.txt").unwrap(), "hello");
    assert!(!base.tree.contains_key("bin/run.sh"));
    for path in ["../x", "/x", "a.job", flowlift_common::manifest::PATH, ""] {
        let act = Act::DeleteFile { path: path.into() };
        assert!(
            matches!(planned(&base, &[sent(9, act)]).decisions[0].1, Decision::Dead(_)),
            "{path}"
        );
    }
}

#[test]
fn a_schedule_is_looked_at_for_the_newest_change_only_uploaded_or_not() {
    let with = |rank, cron: &str| {
        let Act::Upsert(mut upsert) = flow("a", "x") else {
            unreachable!()
        };
        upsert.schedule = Schedule::Set(cron.into());
        sent(rank, Act::Upsert(upsert))
    };
    let first = planned(&Base::empty(), &[with(1, "one"), with(2, "two")]);
    let crons = |plan: &Plan| {
        plan.schedules
            .iter()
            .map(|step| step.wish.clone())
            .collect::<Vec<_>>()
    };
    let two = || vec![Wish::Set("two".into())];
    assert_eq!(crons(&first), two());
    let base = landed(&Base::empty(), &first);
    let again = planned(&base, &[with(2, "two")]);
    assert_eq!((crons(&again), again.upload), (two(), false));
    assert!(planned(&base, &[with(1, "one")]).schedules.is_empty());
}

#[test]
fn a_schedule_counts_on_when_later_changes_keep_it_whatever_comes_first() {
    let with = |rank, schedule| {
        let Act::Upsert(mut upsert) = flow("a", "x") else {
            unreachable!()
        };
        upsert.schedule = schedule;
        sent(rank, Act::Upsert(upsert))
    };
    let set = || Schedule::Set("one".into());
    let wishes = |plan: &Plan| {
        plan.schedules
            .iter()
            .map(|step| step.wish.clone())
            .collect::<Vec<_>>()
    };
    let together = planned(&Base::empty(), &[with(1, set()), with(2, Schedule::Keep)]);
    assert_eq!(wishes(&together), [Wish::Set("one".into())]);
    // the later one came first
    let base = landed(
        &Base::empty(),
        &planned(&Base::empty(), &[with(2, Schedule::Keep)]),
    );
    let late = planned(&base, &[with(1, set())]);
    assert_eq!(wishes(&late), [Wish::Set("one".into())]);
    assert_eq!(late.decisions[0].1, Decision::Superseded);
    assert_eq!(late.seen.flows["a"].cron.as_deref(), Some("one"));
    // so does a deletion that comes late, by name or by pattern
    let all = || {
        Act::DeleteMatching(Pattern {
            glob: "*".into(),
            except: vec![],
        })
    };
    for deletion in [delete("a"), all()] {
        let base = landed(&Base::empty(), &planned(&Base::empty(), &[with(1, set())]));
        let base = landed(&base, &planned(&base, &[sent(3, flow("a", "y"))]));
        assert_eq!(wishes(&planned(&base, &[sent(2, deletion)])), [Wish::Remove]);
    }
    // a deletion in between ends it, also where Azkaban never sees the flow go
    let base = landed(&Base::empty(), &planned(&Base::empty(), &[with(1, set())]));
    let again = planned(&base, &[sent(2, delete("a")), with(3, Schedule::Keep)]);
    assert_eq!(wishes(&again), [Wish::Remove]);
    let base = landed(&base, &again);
    assert!(planned(&base, &[with(1, set())]).schedules.is_empty());
}

#[test]
fn planning_twice_changes_nothing_more() {
    let changes = [
        sent(1, flow("a", "x")),
        sent(2, flow("b", "y")),
        sent(3, delete("a")),
        sent(4, matching("c*")),
    ];
    let (base, _) = apply(&Base::empty(), &changes);
    let again = planned(&base, &changes);
    assert!(!again.upload, "{:?}", again.decisions);
    assert!(again.put.is_empty() && again.remove.is_empty());
}

fn file(path: &str) -> Act {
    Act::PutFile {
        path: path.into(),
        content: Content(Bytes::from_static(b"x")),
    }
}

#[test]
fn a_file_that_azkaban_does_not_read_in_the_projects_format_is_a_shared_file() {
    let (base, decided) = apply(
        &Base::empty(),
        &[
            sent(1, flow("a", "x")),
            sent(2, file("old.flow")),
            sent(3, file("__MACOSX/._a.job")),
            sent(4, file(".project")),
            sent(5, file("._common.properties")),
        ],
    );
    assert!(
        decided.iter().all(|one| *one == Decision::Apply(None)),
        "{decided:?}"
    );
    assert_eq!(flows(&base), ["a"]);
    for path in ["b.job", "sub/b.job", "b.project"] {
        let (_, decided) = apply(&base, &[sent(9, file(path))]);
        let reason = format!("file {path} is part of a flow, not a shared file");
        assert_eq!(decided, [Decision::Dead(reason)]);
    }
}

fn unit_of_flow_2(flow: &str, text: &str) -> Act {
    let body = Body::Unit(Unit {
        format: Format::V2,
        flows: vec![FlowName::new(flow).unwrap()],
        files: [(format!("{flow}.flow"), Content(Bytes::from(text.to_owned())))].into(),
    });
    Act::Upsert(Upsert {
        body,
        schedule: Schedule::Keep,
    })
}

#[test]
fn job_files_are_rewritten_for_a_flow_2_project_and_the_other_way_round() {
    let jobs = unit(
        &["b"],
        &[
            ("sub/a.job", "type=noop\n"),
            ("b.job", "type=noop\ndependencies=a\n"),
        ],
    );
    let (base, _) = apply(
        &Base::empty(),
        &[sent(1, unit_of_flow_2("x", "nodes:\n- name: j\n  type: noop\n"))],
    );
    let (base, decided) = apply(&base, &[sent(2, jobs.clone())]);
    assert_eq!(decided, [Decision::Apply(None)]);
    assert_eq!(flows(&base), ["b", "x"]);
    assert!(base.tree.contains_key("b.flow"));
    let (base, _) = apply(&Base::empty(), &[sent(1, jobs)]);
    let several = "nodes:\n- name: j\n  type: noop\n- name: k\n  type: noop\n  dependsOn: [j]\n";
    let (base, decided) = apply(&base, &[sent(2, unit_of_flow_2("x", several))]);
    assert_eq!(decided, [Decision::Apply(None)]);
    assert_eq!(flows(&base), ["b", "x"]);
    assert!(base.tree.contains_key("x.job"));
}

#[test]
fn what_only_one_format_can_say_is_refused_with_the_reason() {
    let (base, _) = apply(&Base::empty(), &[sent(1, flow("a", "x"))]);
    let nested = "nodes:\n- name: e\n  type: flow\n  nodes:\n  - name: j\n    type: noop\n";
    let (_, decided) = apply(&base, &[sent(2, unit_of_flow_2("x", nested))]);
    let reason = "the project is Flow 1.0, the change Flow 2.0: flow \"x\" cannot be rewritten: its job \"e\" is a flow itself";
    assert_eq!(decided, [Decision::Dead(reason.into())]);
}

#[test]
fn a_hidden_project_file_does_not_stand_for_the_one_that_flow_2_needs() {
    let upsert = unit_of_flow_2("a", "nodes:\n- name: j\n  type: noop\n");
    let changes = [
        sent(1, file(".project")),
        sent(2, file("old.job")),
        sent(3, upsert),
    ];
    let (base, decided) = apply(&Base::empty(), &changes);
    assert!(
        decided.iter().all(|one| *one == Decision::Apply(None)),
        "{decided:?}"
    );
    assert_eq!(flows(&base), ["a"]);
    let (_, decided) = apply(&base, &[sent(9, file("b.flow"))]);
    assert!(matches!(&decided[..], [Decision::Dead(_)]), "{decided:?}");
}
