use std::collections::BTreeMap;
use std::time::Duration;

use flowlift_common::ledger::Outcome;
use flowlift_common::steer::Hold;

use super::*;
use crate::plan::{ChangeId, Decision};

const FAST: Limits = Limits {
    quiet: Duration::from_millis(10),
    first_linger: Duration::from_millis(50),
    longest_linger: Duration::from_secs(1),
    fence: Duration::from_secs(70),
    look: Duration::from_millis(100),
    look_away: Duration::from_secs(5),
    second_look: Duration::from_secs(10),
    later_looks: [Duration::from_secs(600), Duration::from_secs(3_600)],
    parked: Duration::from_secs(30),
    unpark: (Duration::from_secs(60), Duration::from_secs(900)),
    park_after: 8,
    safeguards: Safeguards::ALL,
    backoff: (Duration::from_secs(1), Duration::from_secs(4)),
};

fn id(seq: u64) -> ChangeId {
    ChangeId { receipt: 1, seq }
}

fn arrival(receipt: u64) -> Event {
    Event::Arrived(Arrival {
        receipt,
        changes: 1,
        returns: 0,
        window_full: false,
    })
}

fn applying(seqs: &[u64]) -> Planned {
    Planned {
        decisions: seqs.iter().map(|seq| (id(*seq), Decision::Apply(None))).collect(),
        upload: !seqs.is_empty(),
        ..Planned::default()
    }
}

const TAKEN: Event = Event::Uploaded(Ok(Uploaded {
    took: Duration::from_millis(20),
    overtook: false,
}));

fn in_doubt() -> Event {
    Event::Uploaded(Err(UploadTrouble::InDoubt("timeout".into())))
}

fn refused() -> Event {
    Event::Uploaded(Err(UploadTrouble::Refused(Refusal {
        text: "no".into(),
        ..Refusal::default()
    })))
}

/// Brings a project with one message to the point where its upload is asked for.
fn uploading(project: &mut Project, seqs: &[u64]) {
    assert!(project.handle(arrival(1), 0).is_empty());
    assert_eq!(project.handle(Event::Timer, 10), [Action::WantPermit]);
    assert_eq!(project.handle(Event::Permit, 11), [Action::AskOpenAttempts]);
    assert_eq!(
        project.handle(Event::OpenAttempts(vec![]), 12),
        [Action::ReadBase]
    );
    let asked = project.handle(
        Event::Base(Ok(BaseFacts {
            exists: true,
            flows: 0,
        })),
        13,
    );
    assert!(matches!(&asked[..], [Action::Plan(ask)] if ask.receipts == [1]));
    assert_eq!(
        project.handle(Event::Planned(applying(seqs)), 14),
        [Action::Announce]
    );
    assert_eq!(project.handle(Event::Announced, 15), [Action::Upload]);
}

fn settlement(actions: &[Action]) -> &Settlement {
    let found = actions.iter().find_map(|action| match action {
        Action::Settle(settlement) => Some(settlement),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing is settled in {actions:?}"))
}

#[test]
fn a_batch_goes_its_road_and_is_acknowledged_only_after_it_was_read_back() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1, 2]);
    assert_eq!(
        project.handle(TAKEN, 40),
        [Action::EndAttempt(Doubtful::Own, Landing::Landed), Action::List]
    );
    let actions = project.handle(Event::Listed(Ok(Ok(()))), 50);
    assert_eq!(
        actions[..2],
        [Action::LookLater(FAST.second_look), Action::DropPermit]
    );
    let settled = settlement(&actions);
    assert_eq!(settled.receipts, [1]);
    assert!(
        settled
            .changes
            .iter()
            .all(|(_, last)| last.outcome == Outcome::Applied)
            && settled.uploaded
    );
    assert_eq!(project.handle(Event::Settled, 60), [Action::Forget]);
    assert!(project.is_quiet() && project.receipts().next().is_none());
}

#[test]
fn what_arrives_while_an_upload_runs_travels_in_the_next_one() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    assert!(project.handle(arrival(2), 20).is_empty());
    assert!(project.handle(arrival(3), 21).is_empty());
    project.handle(TAKEN, 40);
    project.handle(Event::Listed(Ok(Ok(()))), 50);
    let actions = project.handle(Event::Settled, 60);
    assert_eq!(
        actions,
        [Action::Forget, Action::WantPermit],
        "the stream has been quiet for long"
    );
    assert_eq!(
        project.handle(Event::Permit, 61),
        [Action::ReadBase],
        "the shard is ours: no second look for left uploads"
    );
    let asked = project.handle(
        Event::Base(Ok(BaseFacts {
            exists: true,
            flows: 1,
        })),
        62,
    );
    assert!(matches!(&asked[..], [Action::Plan(ask)] if ask.receipts == [2, 3]));
}

#[test]
fn with_nothing_in_hand_the_shard_may_have_been_elsewhere_so_open_uploads_are_looked_for_again() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    project.handle(TAKEN, 40);
    project.handle(Event::Listed(Ok(Ok(()))), 50);
    project.handle(Event::Settled, 60);
    project.handle(arrival(2), 1_000);
    project.handle(Event::Timer, 1_010);
    assert_eq!(project.handle(Event::Permit, 1_011), [Action::AskOpenAttempts]);
}

#[test]
fn an_upload_left_open_is_waited_for_and_its_landing_ends_the_wait() {
    let mut project = Project::new(FAST, 1);
    project.handle(arrival(1), 0);
    project.handle(Event::Timer, 10);
    project.handle(Event::Permit, 11);
    let open = OpenAttempt {
        flows: 1,
        attempt: "left.zip".into(),
        consumer: "dead".into(),
    };
    let actions = project.handle(Event::OpenAttempts(vec![open]), 12);
    assert_eq!(actions[1], Action::Look(Doubtful::Left("left.zip".into())));
    assert!(project.handle(Event::Looked(Ok(Landing::NotSeen)), 20).is_empty());
    assert_eq!(project.next_timer(), Some(120));
    assert_eq!(
        project.handle(Event::Timer, 120),
        [Action::Look(Doubtful::Left("left.zip".into()))]
    );
    let actions = project.handle(Event::Looked(Ok(Landing::Landed)), 130);
    assert_eq!(
        actions,
        [
            Action::EndAttempt(Doubtful::Left("left.zip".into()), Landing::Landed),
            Action::ReadBase
        ]
    );
}

#[test]
fn a_fence_ends_by_itself_when_nothing_lands() {
    let mut project = Project::new(FAST, 1);
    project.handle(arrival(1), 0);
    project.handle(Event::Timer, 10);
    project.handle(Event::Permit, 11);
    project.handle(
        Event::OpenAttempts(vec![OpenAttempt {
            flows: 1,
            attempt: "x".into(),
            consumer: "y".into(),
        }]),
        12,
    );
    let actions = project.handle(Event::Looked(Ok(Landing::NotSeen)), 12 + 70_000);
    assert_eq!(
        actions,
        [
            Action::EndAttempt(Doubtful::Left("x".into()), Landing::NotSeen),
            Action::ReadBase
        ]
    );
}

#[test]
fn a_doubtful_upload_is_looked_for_before_anything_else_and_counts_when_it_landed() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    let actions = project.handle(in_doubt(), 40);
    assert!(matches!(&actions[..], [Action::Say(LogLine::Doubt { .. })]));
    assert_eq!(project.handle(Event::Timer, 140), [Action::Look(Doubtful::Own)]);
    assert!(
        project
            .handle(Event::Looked(Err(Trouble::Later("down".into()))), 150)
            .is_empty()
    );
    project.handle(Event::Timer, 250);
    let actions = project.handle(Event::Looked(Ok(Landing::Landed)), 260);
    assert_eq!(
        actions,
        [
            Action::EndAttempt(Doubtful::Own, Landing::Landed),
            Action::ReadBase
        ]
    );
    // the log tells a name only; the base tells what landed
    project.handle(Event::Base(Ok(FACTS)), 270);
    let found = Planned {
        decisions: vec![(id(1), Decision::Unchanged)],
        ..Planned::default()
    };
    let actions = project.handle(Event::Planned(found), 280);
    let settled = settlement(&actions);
    assert_eq!(settled.changes[0].1.outcome, Outcome::Applied);
    assert!(settled.uploaded && settled.unwritten);
}

#[test]
fn what_a_doubtful_upload_brought_is_ours_when_the_next_plan_finds_it() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    project.handle(in_doubt(), 40);
    project.handle(Event::Timer, 140);
    let actions = project.handle(Event::Looked(Ok(Landing::NotSeen)), 40 + 70_000);
    assert!(
        actions.contains(&Action::EndAttempt(Doubtful::Own, Landing::NotSeen))
            && actions.contains(&Action::DropPermit)
    );
    let due = project.next_timer().unwrap();
    project.handle(Event::Timer, due);
    project.handle(Event::Permit, due);
    project.handle(
        Event::Base(Ok(BaseFacts {
            exists: true,
            flows: 1,
        })),
        due,
    );
    let planned = Planned {
        decisions: vec![(id(1), Decision::Unchanged)],
        ..Planned::default()
    };
    let actions = project.handle(Event::Planned(planned), due);
    assert_eq!(settlement(&actions).changes[0].1.outcome, Outcome::Applied);
}

#[test]
fn trouble_waits_with_growing_delays_and_gives_the_permit_back() {
    let mut project = Project::new(FAST, 7);
    let mut now = 0;
    uploading(&mut project, &[1]);
    let mut delays = Vec::new();
    for _ in 0..4 {
        let actions = project.handle(
            Event::Uploaded(Err(UploadTrouble::Not(Trouble::Away("503".into())))),
            now,
        );
        assert!(actions.contains(&Action::DropPermit));
        let due = project.next_timer().unwrap();
        delays.push(due - now);
        now = due;
        project.handle(Event::Timer, now);
        project.handle(Event::Permit, now);
        project.handle(
            Event::Base(Ok(BaseFacts {
                exists: true,
                flows: 0,
            })),
            now,
        );
        project.handle(Event::Planned(applying(&[1])), now);
        project.handle(Event::Announced, now);
    }
    let bounds = [(500, 1_000), (1_000, 2_000), (2_000, 4_000), (2_000, 4_000)];
    assert!(
        delays
            .iter()
            .zip(bounds)
            .all(|(delay, (low, high))| (low..=high).contains(delay)),
        "{delays:?}"
    );
}

#[test]
fn only_the_named_culprit_dies() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1, 2, 3]);
    let named = vec![(id(2), "bad".to_owned())];
    let answer = Event::Uploaded(Err(UploadTrouble::Refused(Refusal {
        text: "bad".into(),
        named,
        ..Refusal::default()
    })));
    assert_eq!(
        project.handle(answer, 20),
        [
            Action::EndAttempt(Doubtful::Own, Landing::Impossible),
            Action::ReadBase
        ]
    );
    let asked = project.handle(
        Event::Base(Ok(BaseFacts {
            exists: true,
            flows: 0,
        })),
        21,
    );
    assert!(matches!(&asked[..], [Action::Plan(ask)] if ask.settled.contains(&id(2))));
    project.handle(Event::Planned(applying(&[1, 3])), 22);
    project.handle(Event::Announced, 23);
    project.handle(TAKEN, 24);
    let actions = project.handle(Event::Listed(Ok(Ok(()))), 25);
    let outcomes: BTreeMap<u64, Outcome> = settlement(&actions)
        .changes
        .iter()
        .map(|(id, last)| (id.seq, last.outcome))
        .collect();
    assert_eq!(
        outcomes,
        BTreeMap::from([(1, Outcome::Applied), (2, Outcome::Dead), (3, Outcome::Applied)])
    );
    assert_eq!(settlement(&actions).receipts, [1]);
}

/// Plays on against an Azkaban that refuses any upload with a bad change, until the project is quiet.
fn play_poison(project: &mut Project, all: &[u64], bad: &[u64]) -> (BTreeMap<u64, Outcome>, usize) {
    let (mut outcomes, mut uploads) = (BTreeMap::new(), 1);
    let mut in_upload: Vec<u64> = all.to_vec();
    let answer = |tried: &[u64]| {
        if tried.iter().any(|seq| bad.contains(seq)) {
            refused()
        } else {
            TAKEN
        }
    };
    let mut actions = project.handle(answer(&in_upload), 20);
    let mut now = 20;
    for _ in 0..500 {
        now += 1;
        let Some(action) = actions
            .iter()
            .rev()
            .find(|action| !matches!(action, Action::DropPermit | Action::Say(_)))
        else {
            break;
        };
        let event = match action.clone() {
            Action::WantPermit => Event::Permit,
            Action::ReadBase => Event::Base(Ok(BaseFacts {
                exists: true,
                flows: 0,
            })),
            Action::Plan(ask) => {
                let out =
                    |seq: &&u64| !ask.settled.contains(&id(**seq)) && !ask.held_back.contains(&id(**seq));
                in_upload = all
                    .iter()
                    .filter(out)
                    .filter(|seq| !outcomes.contains_key(*seq))
                    .copied()
                    .collect();
                let mut planned = applying(&in_upload);
                planned.upload |= ask.force;
                Event::Planned(planned)
            }
            Action::Announce => Event::Announced,
            Action::Upload => {
                uploads += 1;
                answer(&in_upload)
            }
            Action::List => Event::Listed(Ok(Ok(()))),
            Action::Settle(settlement) => {
                for (id, last) in settlement.changes {
                    assert!(
                        outcomes.insert(id.seq, last.outcome).is_none(),
                        "{id:?} is final twice"
                    );
                }
                Event::Settled
            }
            Action::Forget => break,
            other => panic!("unexpected {other:?}"),
        };
        actions = project.handle(event, now);
    }
    (outcomes, uploads)
}

#[test]
fn unnamed_culprits_are_found_by_halving_and_the_others_applied() {
    let mut project = Project::new(FAST, 1);
    let all: Vec<u64> = (1..=100).collect();
    uploading(&mut project, &all);
    let (outcomes, uploads) = play_poison(&mut project, &all, &[7, 64]);
    let dead: Vec<u64> = outcomes
        .iter()
        .filter(|(_, outcome)| **outcome == Outcome::Dead)
        .map(|(seq, _)| *seq)
        .collect();
    assert_eq!((dead, outcomes.len()), (vec![7, 64], 100));
    assert!(uploads <= 20, "{uploads}");
    assert!(project.is_quiet());
}

#[test]
fn draining_lets_a_begun_upload_end_and_begins_nothing_new() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    project.handle(arrival(2), 20);
    assert!(project.handle(Event::Drain, 21).is_empty());
    assert!(!project.is_quiet() && project.is_begun());
    project.handle(TAKEN, 30);
    project.handle(Event::Listed(Ok(Ok(()))), 31);
    project.handle(Event::Settled, 32);
    assert!(project.is_quiet());
    assert_eq!(project.receipts().collect::<Vec<_>>(), [2]);
    assert_eq!(project.next_timer(), None);
}

#[test]
fn draining_gives_up_what_is_not_begun_and_an_answer_that_comes_late_changes_nothing() {
    let mut project = Project::new(FAST, 1);
    project.handle(arrival(1), 0);
    project.handle(Event::Timer, 10);
    let actions = project.handle(Event::Drain, 11);
    assert_eq!(actions, [Action::Abort, Action::DropPermit, Action::Forget]);
    assert!(project.is_quiet());
    assert_eq!(project.handle(Event::Permit, 12), [Action::DropPermit]);
    assert_eq!(project.receipts().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_full_window_begins_at_once() {
    let mut project = Project::new(FAST, 1);
    let actions = project.handle(
        Event::Arrived(Arrival {
            receipt: 1,
            changes: 1,
            returns: 0,
            window_full: true,
        }),
        5,
    );
    assert_eq!(actions, [Action::WantPermit]);
}

#[test]
fn an_unreadable_message_is_settled_with_its_reason_and_stops_nobody() {
    let mut project = Project::new(FAST, 1);
    project.handle(arrival(1), 0);
    project.handle(arrival(2), 0);
    project.handle(Event::Timer, 10);
    project.handle(Event::Permit, 11);
    project.handle(Event::OpenAttempts(vec![]), 12);
    project.handle(
        Event::Base(Ok(BaseFacts {
            exists: true,
            flows: 0,
        })),
        13,
    );
    let planned = Planned {
        unreadable: vec![(2, "not gzip".into())],
        decisions: vec![(id(1), Decision::Unchanged)],
        ..Planned::default()
    };
    let actions = project.handle(Event::Planned(planned), 14);
    assert_eq!(settlement(&actions).receipts, [1, 2]);
    assert_eq!(settlement(&actions).unreadable.len(), 1);
}

#[test]
fn somebody_elses_upload_in_between_is_merged_before_anything_is_settled() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    let overtook = Event::Uploaded(Ok(Uploaded {
        took: Duration::from_millis(20),
        overtook: true,
    }));
    assert_eq!(
        project.handle(overtook, 40),
        [
            Action::EndAttempt(Doubtful::Own, Landing::Landed),
            Action::Say(LogLine::Overtook),
            Action::ReadBase
        ]
    );
    project.handle(Event::Base(Ok(FACTS)), 50);
    // theirs is in it already: nothing more to upload, and our change counts as applied
    let found = Planned {
        decisions: vec![(id(1), Decision::Unchanged)],
        ..Planned::default()
    };
    let actions = project.handle(Event::Planned(found), 60);
    assert!(actions.contains(&Action::LookLater(FAST.second_look)));
    let settled = settlement(&actions);
    assert_eq!(
        (settled.changes[0].1.outcome, settled.uploaded),
        (Outcome::Applied, true)
    );
}

const FACTS: BaseFacts = BaseFacts {
    exists: true,
    flows: 1,
};

fn parking(actions: &[Action]) -> Option<&Vec<u64>> {
    actions.iter().find_map(|action| match action {
        Action::Park(receipts) => Some(receipts),
        _ => None,
    })
}

#[test]
fn a_project_that_is_denied_is_parked_at_once_and_so_is_what_comes_soon_after() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    project.handle(arrival(2), 20);
    let denied = Event::Uploaded(Err(UploadTrouble::Not(Trouble::Own("denied".into()))));
    let actions = project.handle(denied, 30);
    assert_eq!(parking(&actions), Some(&vec![1, 2]));
    assert!(actions.contains(&Action::EndAttempt(Doubtful::Own, Landing::Impossible)) && !project.is_quiet());
    assert!(project.handle(arrival(3), 40).is_empty());
    assert_eq!(project.handle(Event::Parked, 50), [Action::Park(vec![3])]);
    assert!(project.handle(Event::Parked, 60).is_empty() && project.is_quiet());
    assert_eq!(project.handle(arrival(4), 70), [Action::Park(vec![4])]);
    project.handle(Event::Parked, 80);
    // later it is tried again
    assert!(project.handle(arrival(5), 40_000).is_empty());
    assert_eq!(project.handle(Event::Timer, 41_000), [Action::WantPermit]);
}

#[test]
fn own_trouble_again_and_again_parks_and_an_absent_azkaban_never_does() {
    for (trouble, parks) in [
        (Trouble::Later("odd".into()), true),
        (Trouble::Away("gone".into()), false),
    ] {
        let mut project = Project::new(FAST, 1);
        project.handle(arrival(1), 0);
        let mut parked = false;
        for now in (10_000..400_000).step_by(10_000) {
            project.handle(Event::Timer, now);
            project.handle(Event::Permit, now + 1);
            project.handle(Event::OpenAttempts(vec![]), now + 2);
            let actions = project.handle(Event::Base(Err(trouble.clone())), now + 3);
            if parking(&actions).is_some() {
                parked = true;
                break;
            }
        }
        assert_eq!(parked, parks, "{trouble:?}");
    }
}

#[test]
fn a_message_that_came_back_again_and_again_travels_alone() {
    let mut project = Project::new(FAST, 1);
    let odd = |receipt, returns| {
        Event::Arrived(Arrival {
            receipt,
            changes: 1,
            returns,
            window_full: false,
        })
    };
    for (receipt, returns) in [(1, 9), (2, 0), (3, 4), (4, 6)] {
        project.handle(odd(receipt, returns), 0);
    }
    let mut asked = Vec::new();
    let mut now = 100;
    for _ in 0..3 {
        now += 1_000;
        project.handle(Event::Timer, now);
        project.handle(Event::Permit, now);
        project.handle(Event::OpenAttempts(vec![]), now);
        let actions = project.handle(Event::Base(Ok(FACTS)), now);
        let [Action::Plan(ask)] = &actions[..] else {
            panic!("{actions:?}");
        };
        asked.push(ask.receipts.clone());
        let unreadable = ask
            .receipts
            .iter()
            .map(|receipt| (*receipt, "x".into()))
            .collect();
        project.handle(
            Event::Planned(Planned {
                unreadable,
                ..Planned::default()
            }),
            now,
        );
        project.handle(Event::Settled, now);
    }
    assert_eq!(asked, [vec![2, 3], vec![1], vec![4]]);
}

#[test]
fn a_try_that_azkaban_has_already_clears_its_changes_and_superseded_ones_stay_out_of_a_search() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1, 2, 3]);
    // 3 is newer than 9: while the culprit is looked for, 9 must not take its place
    project.handle(
        Event::Uploaded(Err(UploadTrouble::Not(Trouble::Away("503".into())))),
        20,
    );
    let now = 10_000;
    project.handle(Event::Timer, now);
    project.handle(Event::Permit, now);
    project.handle(Event::Base(Ok(FACTS)), now);
    let mut planned = applying(&[1, 2, 3]);
    planned.decisions.push((id(9), Decision::Superseded));
    project.handle(Event::Planned(planned), now);
    project.handle(Event::Announced, now);
    project.handle(refused(), now);
    let mut tries = Vec::new();
    for _ in 0..3 {
        let actions = project.handle(Event::Base(Ok(FACTS)), now);
        let Some(Action::Plan(ask)) = actions.first() else {
            break;
        };
        tries.push(ask.held_back.iter().map(|id| id.seq).collect::<Vec<_>>());
        let decisions = [1, 2, 3]
            .map(id)
            .into_iter()
            .filter(|id| !ask.held_back.contains(id) && !ask.settled.contains(id))
            .map(|id| (id, Decision::Unchanged))
            .collect();
        project.handle(
            Event::Planned(Planned {
                decisions,
                ..Planned::default()
            }),
            now,
        );
        project.handle(Event::Settled, now);
        project.handle(Event::Permit, now);
    }
    assert_eq!(tries, [vec![2, 3, 9], vec![3, 9], vec![]]);
}

/// Plays uploads that Azkaban stumbles over, each naming these changes; what becomes of the batch.
fn stumbling(names: &[&[u64]]) -> Vec<Action> {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1, 2, 3]);
    let mut last = Vec::new();
    for (round, names) in names.iter().enumerate() {
        let refusal = Refusal {
            text: "Error inserting flow".into(),
            named: names
                .iter()
                .map(|seq| (id(*seq), "Error inserting flow".into()))
                .collect(),
            suspects: vec![],
            about_content: true,
        };
        let now = 100_000 * (round as u64 + 1);
        last = project.handle(Event::Uploaded(Err(UploadTrouble::Stumbled(refusal))), now);
        project.handle(Event::Timer, now + 50_000);
        project.handle(Event::Permit, now + 50_000);
        let asked = project.handle(Event::Base(Ok(FACTS)), now + 50_000);
        let Some(Action::Plan(ask)) = asked.first() else {
            panic!("{asked:?}");
        };
        let open: Vec<u64> = [1, 2, 3]
            .into_iter()
            .filter(|seq| !ask.settled.contains(&id(*seq)))
            .collect();
        if open.len() < 3 {
            return asked;
        }
        project.handle(Event::Planned(applying(&[1, 2, 3])), now + 50_000);
        project.handle(Event::Announced, now + 50_000);
    }
    last
}

#[test]
fn only_a_change_that_azkaban_stumbles_over_each_time_is_convicted() {
    let convicted = stumbling(&[&[2], &[2], &[2]]);
    assert!(
        matches!(&convicted[..], [Action::Plan(ask)] if ask.settled.contains(&id(2))),
        "{convicted:?}"
    );
    let database = stumbling(&[&[1], &[2], &[3], &[1], &[2], &[3]]);
    assert!(
        matches!(
            &database[..],
            [Action::EndAttempt(..), Action::Say(LogLine::Trouble { .. }), ..]
        ),
        "{database:?}"
    );
}

fn held(project: &mut Project, hold: Hold, now_ms: u64) -> Vec<Action> {
    project.handle(Event::Hold(hold), now_ms)
}

#[test]
fn while_everything_is_paused_messages_stay_in_hand_and_go_on_afterwards() {
    let mut project = Project::new(FAST, 1);
    assert!(held(&mut project, Hold::Everything, 0).is_empty());
    assert!(project.handle(arrival(1), 1).is_empty());
    assert_eq!(project.next_timer(), None, "nothing is begun by itself");
    assert_eq!(project.receipts().collect::<Vec<_>>(), [1]);
    assert_eq!(
        held(&mut project, Hold::No, 1_000),
        [Action::WantPermit],
        "nothing has come for long"
    );
}

#[test]
fn a_pause_ends_what_is_not_begun_and_lets_an_upload_come_to_its_end() {
    let mut project = Project::new(FAST, 1);
    project.handle(arrival(1), 0);
    assert_eq!(project.handle(Event::Timer, 10), [Action::WantPermit]);
    assert_eq!(
        held(&mut project, Hold::Everything, 11),
        [Action::Abort, Action::DropPermit, Action::Forget]
    );
    assert!(project.is_quiet() && project.receipts().count() == 1);

    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    project.handle(arrival(2), 20);
    assert!(held(&mut project, Hold::Project, 21).is_empty());
    assert!(project.handle(TAKEN, 40).contains(&Action::List));
    let actions = project.handle(Event::Listed(Ok(Ok(()))), 50);
    assert_eq!(settlement(&actions).receipts, [1]);
    assert_eq!(
        project.handle(Event::Settled, 60),
        [Action::Forget, Action::Park(vec![2])],
        "what came meanwhile must not hold the window of its shard"
    );
}

#[test]
fn a_paused_project_is_set_aside_message_by_message_and_goes_on_with_what_comes_back() {
    let mut project = Project::new(FAST, 1);
    held(&mut project, Hold::Project, 0);
    assert_eq!(project.handle(arrival(1), 1), [Action::Park(vec![1])]);
    project.handle(arrival(2), 2);
    assert_eq!(project.handle(Event::Parked, 3), [Action::Park(vec![2])]);
    assert!(project.handle(Event::Parked, 4).is_empty() && project.is_quiet());
    held(&mut project, Hold::No, 5);
    assert!(project.handle(arrival(1), 6).is_empty());
    assert_eq!(project.handle(Event::Timer, 56), [Action::WantPermit]);
}

#[test]
fn an_upload_in_doubt_is_decided_during_a_pause_and_nothing_is_planned_anew() {
    let mut project = Project::new(FAST, 1);
    uploading(&mut project, &[1]);
    project.handle(in_doubt(), 100);
    assert!(held(&mut project, Hold::Everything, 101).is_empty());
    assert!(project.is_fenced());
    let late = 101 + 70_000 + 1_000;
    project.handle(Event::Timer, late);
    let actions = project.handle(Event::Looked(Ok(Landing::NotSeen)), late);
    assert!(actions.contains(&Action::EndAttempt(Doubtful::Own, Landing::NotSeen)));
    assert!(
        !actions.contains(&Action::ReadBase) && project.is_quiet(),
        "{actions:?}"
    );
    assert_eq!(project.receipts().collect::<Vec<_>>(), [1]);
}
