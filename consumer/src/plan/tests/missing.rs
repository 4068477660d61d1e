//! Changes whose content cannot be had any more: known already, or dead; never applied without it.

use super::*;

const GONE: &str = "the parts of its body are no longer kept";

fn file(path: &str, text: &str) -> Act {
    Act::PutFile {
        path: path.into(),
        content: Content(Bytes::from(text.to_owned())),
    }
}

/// Plans with nothing but the outlines of the changes of these ranks.
fn planned_lacking(base: &Base, changes: &[Sent], lacking: &[u64]) -> Plan {
    let outlined: Vec<Sent> = changes
        .iter()
        .map(|one| Sent {
            owner: one.owner.clone(),
            change: Change {
                seq: one.change.seq,
                act: if lacking.contains(&one.rank) {
                    one.change.act.outline()
                } else {
                    one.change.act.clone()
                },
            },
            ..*one
        })
        .collect();
    let asked = outlined.iter().map(|sent| Asked {
        missing: lacking.contains(&sent.rank).then_some(GONE),
        ..asked(sent)
    });
    let asked: Vec<Asked<'_>> = asked.collect();
    let format = format_for(base, &asked);
    plan(base, format, asked, &&outlined[..], &Seen::default())
}

fn decisions(plan: &Plan) -> Vec<Decision> {
    let decided = plan.decisions.iter();
    decided.map(|(_, decision)| decision.clone()).collect()
}

#[test]
fn what_is_applied_already_needs_no_content_and_what_is_not_is_dead() {
    let changes = [
        sent(1, file("lib/x.jar", "long")),
        sent(2, unit(&["a"], &[("a.job", "type=noop\n")])),
        sent(3, flow("b", "echo")),
    ];
    let empty = Base::empty();
    let all = [1, 2, 3];
    let dead = planned_lacking(&empty, &changes, &all);
    assert_eq!(decisions(&dead), vec![Decision::Dead(GONE.into()); 3]);
    assert!(!dead.upload && dead.put.is_empty());
    let base = landed(&empty, &planned(&empty, &changes));
    let known = planned_lacking(&base, &changes, &all);
    assert_eq!(decisions(&known), vec![Decision::Unchanged; 3]);
    assert!(!known.upload);
}

#[test]
fn what_a_newer_change_has_replaced_is_superseded_and_the_others_of_the_batch_are_applied() {
    let empty = Base::empty();
    let newer = [sent(5, file("lib/x.jar", "newer"))];
    let base = landed(&empty, &planned(&empty, &newer));
    let changes = [
        sent(1, file("lib/x.jar", "older")),
        sent(2, flow("a", "echo")),
        sent(6, file("lib/x.jar", "newest")),
    ];
    let plan = planned_lacking(&base, &changes, &[1, 6]);
    assert_eq!(
        decisions(&plan),
        [
            Decision::Superseded,
            Decision::Apply(None),
            Decision::Dead(GONE.into())
        ]
    );
    assert!(!plan.put.contains_key("lib/x.jar") && !plan.remove.contains("lib/x.jar"));
}
