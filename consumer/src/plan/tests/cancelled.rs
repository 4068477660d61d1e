//! Changes of a cancelled run: applied no more, unless they are already.

use super::*;

/// Plans with the runs of these ranks cancelled.
fn planned_without(base: &Base, changes: &[Sent], cancelled: &[u64]) -> Plan {
    let asked: Vec<Asked<'_>> = changes
        .iter()
        .map(|sent| Asked {
            cancelled: cancelled.contains(&sent.rank),
            ..asked(sent)
        })
        .collect();
    let format = format_for(base, &asked);
    plan(base, format, asked, &changes, &Seen::default())
}

fn decisions(plan: &Plan) -> Vec<Decision> {
    plan.decisions
        .iter()
        .map(|(_, decision)| decision.clone())
        .collect()
}

#[test]
fn what_is_cancelled_changes_nothing_and_older_wishes_of_others_count() {
    let changes = [
        sent(1, flow("a", "old")),
        sent(2, flow("a", "new")),
        sent(3, delete("b")),
        sent(4, matching("*")),
    ];
    let plan = planned_without(&Base::empty(), &changes, &[2, 3, 4]);
    let cancelled = Decision::Cancelled;
    assert_eq!(
        decisions(&plan),
        [
            Decision::Apply(None),
            cancelled.clone(),
            cancelled.clone(),
            cancelled
        ]
    );
    assert!(
        plan.put
            .values()
            .any(|content| content.windows(3).any(|text| text == b"old"))
    );
    assert!(plan.manifest.gone_flows.is_empty() && plan.manifest.gone_patterns.is_empty());
}

#[test]
fn a_batch_of_cancelled_changes_needs_no_upload_and_makes_no_project() {
    let plan = planned_without(&Base::empty(), &[sent(1, flow("a", "x"))], &[1]);
    assert_eq!(
        (decisions(&plan), plan.upload),
        (vec![Decision::Cancelled], false)
    );
}

#[test]
fn what_an_upload_has_brought_already_is_not_called_cancelled() {
    let changes = [
        sent(1, flow("a", "x")),
        sent(2, unit(&["b"], &[("b.job", "type=noop\n")])),
        sent(
            3,
            Act::PutFile {
                path: "z.txt".into(),
                content: Content(Bytes::from_static(b"z")),
            },
        ),
        sent(4, delete("gone")),
        sent(5, matching("gone*")),
    ];
    let base = landed(&Base::empty(), &planned(&Base::empty(), &changes));
    let again = planned_without(&base, &changes, &[1, 2, 3, 4, 5]);
    assert!(!again.upload);
    assert!(
        !decisions(&again).contains(&Decision::Cancelled),
        "{:?}",
        again.decisions
    );
}

#[test]
fn the_format_of_a_new_project_is_not_that_of_a_cancelled_change() {
    let first = Sent {
        rules: Rules {
            format: Format::V2,
            ..Rules::default()
        },
        ..sent(1, flow("a", "x"))
    };
    let plan = planned_without(&Base::empty(), &[first, sent(2, flow("b", "x"))], &[1]);
    assert_eq!(plan.format, Format::V1);
}
