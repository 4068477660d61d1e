//! Batches as the heart plays them, told as spans.

use std::time::Duration;

use flowlift_common::trace::Value;

use super::*;
use crate::plan::ChangeId;
use crate::project::{BaseFacts, Final, PlanAsk, Planned, Refusal, Uploaded};

const SECOND: u64 = 1_000_000;
/// When batches begin here, in s since 1970.
const BEGUN: u64 = 1_000;

fn trail() -> Trail {
    Trail::new(ProjectName::new("night").unwrap(), "c-1".into())
}

fn trace(n: u8) -> TraceContext {
    TraceContext::of([n; 16], [n; 8], true).unwrap()
}

fn plan(receipts: &[u64]) -> Action {
    Action::Plan(PlanAsk {
        receipts: receipts.to_vec(),
        settled: BTreeSet::new(),
        held_back: BTreeSet::new(),
        force: false,
    })
}

fn settle(outcomes: &[Outcome]) -> Action {
    let change = |(seq, outcome): (u64, &Outcome)| {
        let note = (*outcome == Outcome::Dead).then(|| "job a is missing".to_owned());
        let last = Final {
            outcome: *outcome,
            note,
        };
        (ChangeId { receipt: 1, seq }, last)
    };
    Action::Settle(Settlement {
        changes: (1..).zip(outcomes).map(change).collect(),
        ..Settlement::default()
    })
}

const BASE: Event = Event::Base(Ok(BaseFacts {
    exists: true,
    flows: 1,
}));
const TAKEN: Event = Event::Uploaded(Ok(Uploaded {
    took: Duration::from_secs(3),
    overtook: false,
}));
const SENT: Sent = Sent {
    zip_bytes: 900,
    flows: 12,
    version: Some(7),
};

fn refused() -> Event {
    Event::Uploaded(Err(UploadTrouble::Refused(Refusal {
        text: "cycle in flow a".into(),
        ..Refusal::default()
    })))
}

/// Plays pairs of what is asked and what is heard then, a second each; the last span.
struct Played {
    trail: Trail,
    now_us: u64,
    messages: BTreeMap<u64, Told>,
}

impl Played {
    fn with(messages: &[(u64, Option<TraceContext>)]) -> Self {
        let told = |(receipt, trace): &(u64, Option<TraceContext>)| {
            let published_ms = Some((BEGUN - receipt) * 1_000);
            let told = Told {
                trace: *trace,
                published_ms,
            };
            (*receipt, told)
        };
        Self {
            trail: trail(),
            now_us: BEGUN * SECOND,
            messages: messages.iter().map(told).collect(),
        }
    }

    fn step(&mut self, actions: &[Action], event: &Event) -> Option<Span> {
        let messages = &self.messages;
        self.trail
            .asked(actions, self.now_us, |receipt| messages.get(&receipt).copied());
        self.now_us += SECOND;
        let sent = matches!(event, Event::Uploaded(_)).then_some(SENT);
        self.trail.heard(event, sent, self.now_us)
    }

    fn upload(&mut self, receipts: &[u64], answer: &Event) {
        for (action, event) in [
            (Action::WantPermit, &Event::Permit),
            (Action::ReadBase, &BASE),
            (plan(receipts), &Event::Planned(Planned::default())),
            (Action::Announce, &Event::Announced),
            (Action::Upload, answer),
        ] {
            assert_eq!(self.step(&[action], event), None);
        }
    }

    fn settled(&mut self, outcomes: &[Outcome]) -> Option<Span> {
        self.step(&[Action::DropPermit, settle(outcomes)], &Event::Settled)
    }
}

fn says(span: &Span, name: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.clone())
}

fn result(span: &Span) -> String {
    match says(span, "flowlift.result") {
        Some(Value::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_upload_that_landed_is_one_span_from_its_first_step_to_its_acknowledgements() {
    let mut played = Played::with(&[(1, Some(trace(1))), (2, Some(trace(1)))]);
    played.upload(&[1, 2], &TAKEN);
    let landed = [Action::EndAttempt(Doubtful::Own, Landing::Landed), Action::List];
    assert_eq!(played.step(&landed, &Event::Listed(Ok(Ok(())))), None);
    let span = played
        .settled(&[Outcome::Applied, Outcome::Applied, Outcome::Superseded])
        .expect("it has ended");
    assert_eq!(
        (span.name, span.kind, span.error.clone()),
        ("upload", Kind::Consumer, None)
    );
    assert_eq!(
        (span.begun_us, span.ended_us),
        (BEGUN * SECOND, (BEGUN + 7) * SECOND)
    );
    assert_eq!((span.parent, &span.links[..]), (Some(trace(1)), &[][..]));
    assert_eq!(result(&span), "landed");
    for (name, number) in [
        ("flowlift.uploads", 1),
        ("flowlift.messages", 2),
        ("flowlift.changes", 3),
        ("flowlift.applied", 2),
        ("flowlift.superseded", 1),
        ("flowlift.zip_bytes", 900),
        ("flowlift.flows", 12),
        ("flowlift.version", 7),
        // since the oldest was published
        ("flowlift.waited_ms", 2_000),
    ] {
        assert_eq!(says(&span, name), Some(Value::Number(number)), "{name}");
    }
    let steps: Vec<(&str, u64, u64)> = span
        .children
        .iter()
        .map(|step| {
            (
                step.name,
                step.begun_us / SECOND - BEGUN,
                step.ended_us / SECOND - BEGUN,
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("wait for a connection", 0, 1),
            ("read base", 1, 2),
            ("plan and pack", 2, 3),
            ("announce", 3, 4),
            ("send zip", 4, 5),
            ("read back", 5, 6),
            ("settle", 6, 7),
        ]
    );
}

#[test]
fn runs_that_travel_together_have_the_first_as_parent_and_links_to_the_others_each_once() {
    let mut played = Played::with(&[
        (1, None),
        (2, Some(trace(2))),
        (3, Some(trace(3))),
        (4, Some(trace(2))),
        (5, Some(trace(3))),
        (6, Some(trace(4))),
    ]);
    played.upload(&[1, 2, 3, 4, 5, 6], &TAKEN);
    let span = played.settled(&[Outcome::Applied]).unwrap();
    assert_eq!(span.parent, Some(trace(2)));
    assert_eq!(span.links, [trace(3), trace(4)]);
}

#[test]
fn links_are_bounded_and_how_many_more_there_were_is_told() {
    let context = |n: u64| TraceContext::of([9; 16], n.to_be_bytes(), true);
    let messages: Vec<(u64, Option<TraceContext>)> = (1..=200).map(|n| (n, context(n))).collect();
    let mut played = Played::with(&messages);
    played.upload(&(1..=200).collect::<Vec<_>>(), &TAKEN);
    let span = played.settled(&[Outcome::Applied]).unwrap();
    assert_eq!((span.parent, span.links.len()), (context(1), LINKS));
    let left_out = 200 - 1 - i64::try_from(LINKS).unwrap();
    assert_eq!(
        says(&span, "flowlift.links_left_out"),
        Some(Value::Number(left_out))
    );
}

#[test]
fn without_any_context_a_batch_begins_a_trace_of_its_own() {
    let mut played = Played::with(&[(1, None)]);
    played.upload(&[1], &TAKEN);
    let span = played.settled(&[Outcome::Applied]).unwrap();
    assert_eq!((span.parent, span.context, span.links.len()), (None, None, 0));
}

#[test]
fn who_does_not_want_a_trace_recorded_gets_no_span_and_no_child() {
    let unsampled = TraceContext::of([1; 16], [1; 8], false);
    let mut played = Played::with(&[(1, unsampled)]);
    played.upload(&[1], &TAKEN);
    assert_eq!(played.settled(&[Outcome::Applied]), None);
    let mut played = Played::with(&[(1, unsampled), (2, Some(trace(2)))]);
    played.upload(&[1, 2], &TAKEN);
    let span = played.settled(&[Outcome::Applied]).unwrap();
    assert_eq!(
        (span.parent, span.links),
        (Some(trace(2)), vec![unsampled.unwrap()])
    );
}

#[test]
fn what_became_of_uploads_is_a_closed_set_of_words() {
    let not = Event::Uploaded(Err(UploadTrouble::Not(Trouble::Later("503".into()))));
    let doubt = Event::Uploaded(Err(UploadTrouble::InDoubt("no answer".into())));
    let decided = |landing| Some(Action::EndAttempt(Doubtful::Own, landing));
    for (answer, end, word, error) in [
        (&TAKEN, decided(Landing::Landed), "landed", None),
        (
            &refused(),
            decided(Landing::Impossible),
            "refused",
            Some("cycle in flow a"),
        ),
        (&not, decided(Landing::Impossible), "failed", Some("503")),
        (&doubt, None, "doubtful", Some("no answer")),
        (&doubt, decided(Landing::NotSeen), "doubtful", Some("no answer")),
        (&doubt, decided(Landing::Impossible), "failed", Some("no answer")),
        (&doubt, decided(Landing::Landed), "landed", None),
    ] {
        let mut played = Played::with(&[(1, Some(trace(1)))]);
        played.upload(&[1], answer);
        let mut asked: Vec<Action> = end.into_iter().collect();
        asked.push(Action::ReadBase);
        played.step(&asked, &BASE);
        let span = played.settled(&[Outcome::Applied]).unwrap();
        assert_eq!(
            (span.name, result(&span).as_str(), span.error.as_deref()),
            ("upload", word, error)
        );
    }
}

#[test]
fn a_change_that_died_makes_the_span_of_its_upload_an_error() {
    let mut played = Played::with(&[(1, Some(trace(1)))]);
    played.upload(&[1], &refused());
    played.upload(&[1], &TAKEN);
    let span = played.settled(&[Outcome::Applied, Outcome::Dead]).unwrap();
    assert_eq!(
        (result(&span).as_str(), span.error.as_deref()),
        ("landed", Some("job a is missing"))
    );
    assert_eq!(says(&span, "flowlift.uploads"), Some(Value::Number(2)));
    assert_eq!(says(&span, "flowlift.dead"), Some(Value::Number(1)));
    let failed: Vec<&str> = span
        .children
        .iter()
        .filter(|step| step.error.is_some())
        .map(|step| step.name)
        .collect();
    assert_eq!(failed, ["send zip"]);
}

#[test]
fn a_batch_that_needed_no_upload_is_called_otherwise() {
    let mut played = Played::with(&[(1, Some(trace(1)))]);
    played.step(&[Action::ReadBase], &Event::Base(Err(Trouble::ProjectMissing)));
    played.step(&[plan(&[1])], &Event::Planned(Planned::default()));
    let span = played.settled(&[Outcome::Unchanged]).unwrap();
    assert_eq!(
        (span.name, result(&span).as_str(), span.error),
        ("settle", "unneeded", None)
    );
    assert_eq!(span.children[0].error, None, "a project that is missing is made");
}

#[test]
fn messages_that_are_set_aside_are_told_with_the_reason() {
    let mut played = Played::with(&[(1, Some(trace(1)))]);
    played.step(
        &[Action::ReadBase],
        &Event::Base(Err(Trouble::Own("no right to read".into()))),
    );
    let asked = [Action::DropPermit, Action::Forget, Action::Park(vec![1])];
    let span = played.step(&asked, &Event::Parked).unwrap();
    assert_eq!(
        (
            span.name,
            result(&span).as_str(),
            span.error.as_deref(),
            span.parent
        ),
        ("park", "parked", Some("no right to read"), Some(trace(1)))
    );
    // what comes while the project is parked
    let span = played.step(&[Action::Park(vec![1])], &Event::Parked).unwrap();
    assert_eq!((span.children.len(), span.parent), (1, Some(trace(1))));
}

#[test]
fn what_is_given_up_tells_nothing_and_the_next_batch_begins_anew() {
    let mut played = Played::with(&[(1, Some(trace(1))), (2, Some(trace(2)))]);
    played.step(&[Action::ReadBase], &BASE);
    played.step(&[plan(&[1])], &Event::Drain);
    let given_up = [Action::Abort, Action::DropPermit, Action::Forget];
    assert_eq!(played.step(&given_up, &Event::Permit), None);
    played.upload(&[2], &TAKEN);
    let span = played.settled(&[Outcome::Applied]).unwrap();
    assert_eq!(span.parent, Some(trace(2)));
    assert_eq!(says(&span, "flowlift.messages"), Some(Value::Number(1)));
}

#[test]
fn each_settlement_is_a_span_of_its_own() {
    let mut played = Played::with(&[(1, Some(trace(1)))]);
    played.upload(&[1], &TAKEN);
    assert!(played.settled(&[Outcome::Applied]).is_some());
    played.upload(&[1], &TAKEN);
    let second = played.settled(&[Outcome::Applied]).unwrap();
    assert_eq!(second.begun_us, (BEGUN + 6) * SECOND);
}

#[test]
fn what_comes_meanwhile_ends_no_step() {
    let mut played = Played::with(&[(1, None)]);
    played.step(&[Action::ReadBase], &Event::Timer);
    played.step(&[], &Event::Drain);
    played.step(&[], &BASE);
    played.step(&[plan(&[1])], &Event::Planned(Planned::default()));
    let span = played.settled(&[Outcome::Unchanged]).unwrap();
    let base = &span.children[0];
    assert_eq!(
        (base.name, base.ended_us - base.begun_us),
        ("read base", 3 * SECOND)
    );
}

#[test]
fn long_words_of_azkaban_are_cut() {
    let mut played = Played::with(&[(1, Some(trace(1)))]);
    let wordy = Event::Uploaded(Err(UploadTrouble::InDoubt("ü".repeat(100_000))));
    played.upload(&[1], &wordy);
    played.step(&[Action::ReadBase], &BASE);
    let span = played.settled(&[Outcome::Applied]).unwrap();
    let longest = span.children.iter().filter_map(|step| step.error.as_ref());
    assert_eq!(longest.map(|text| text.chars().count()).max(), Some(WORDS));
    assert_eq!(span.error.map(|text| text.chars().count()), Some(WORDS));
}

#[test]
fn a_night_of_tries_is_told_by_its_last_steps() {
    let mut played = Played::with(&[(1, Some(trace(1)))]);
    let away = Event::Base(Err(Trouble::Away("503".into())));
    for _ in 0..500 {
        played.step(&[Action::ReadBase], &away);
    }
    played.upload(&[1], &TAKEN);
    let span = played.settled(&[Outcome::Applied]).unwrap();
    assert_eq!(span.children.len(), STEPS);
    assert_eq!(span.children.last().map(|step| step.name), Some("settle"));
    let all = 500 + 5 + 1;
    let left_out = i64::try_from(all - STEPS).unwrap();
    assert_eq!(
        says(&span, "flowlift.steps_left_out"),
        Some(Value::Number(left_out))
    );
    assert_eq!(span.error, None, "it landed in the end");
}
