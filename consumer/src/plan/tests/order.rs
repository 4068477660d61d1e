//! Whatever comes when, and however often, ends as if all had come in order.

use std::collections::BTreeMap;

use flowlift_azkaban::client::ScheduleId;
use flowlift_azkaban::name::fold;
use proptest::prelude::*;

use super::*;
use crate::schedules::{Call, Standing, calls};

/// A project and its schedules, as Azkaban has them.
struct World {
    base: Base,
    crons: BTreeMap<String, String>,
    seen: Seen,
}

impl World {
    fn of(base: Base) -> Self {
        Self {
            base,
            crons: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// Plans, uploads, and brings the schedules; `dies`: before the schedules, so that all of it comes again.
    fn take(&mut self, changes: &[Sent], dies: bool) {
        let asked: Vec<Asked<'_>> = changes.iter().map(asked).collect();
        let format = format_for(&self.base, &asked);
        let plan = plan(&self.base, format, asked, &changes, &self.seen);
        if plan.upload {
            self.base = landed(&self.base, &plan);
            self.seen = Seen::default();
            let there = self.base.there();
            self.crons.retain(|flow, _| there.contains(flow));
        }
        if dies {
            return self.take(changes, false);
        }
        if !plan.upload {
            self.seen.merge(plan.seen);
        }
        let listed = self
            .crons
            .iter()
            .map(|(flow, cron)| (flow.clone(), cron.clone(), ScheduleId(1)));
        for call in calls(&plan.schedules, &Standing::of(listed)) {
            match call {
                Call::Set { step, cron } => drop(self.crons.insert(fold(&plan.schedules[step].flow), cron)),
                Call::Remove { step, .. } => drop(self.crons.remove(&fold(&plan.schedules[step].flow))),
            }
        }
    }

    fn told(&self) -> (Tree, &BTreeMap<String, String>) {
        (self.base.tree.clone(), &self.crons)
    }
}

fn put(name: &str, command: u8, schedule: &Schedule) -> Act {
    let Act::Upsert(mut upsert) = flow(name, &command.to_string()) else {
        unreachable!()
    };
    upsert.schedule = schedule.clone();
    Act::Upsert(upsert)
}

fn an_act() -> impl Strategy<Value = Act> {
    let schedule = prop_oneof![
        3 => Just(Schedule::Keep),
        3 => (1..4u8).prop_map(|hour| Schedule::Set(format!("0 0 {hour} ? * *"))),
        1 => Just(Schedule::Remove),
    ];
    prop_oneof![
        6 => ("[ab]", 1..3u8, schedule).prop_map(|(name, command, schedule)| put(&name, command, &schedule)),
        2 => "[ab]".prop_map(|name| delete(&name)),
        1 => Just(matching("*")),
        1 => Just(matching("b")),
    ]
}

/// Changes in their order, an order in which they come (some twice), and after which of them a consumer plans or dies.
fn deliveries() -> impl Strategy<Value = (Vec<Act>, Vec<usize>, Vec<(bool, bool)>)> {
    prop::collection::vec(an_act(), 1..7).prop_flat_map(|acts| {
        let count = acts.len();
        let twice = prop::collection::vec(0..count, 0..3);
        let order = twice
            .prop_flat_map(move |twice| Just((0..count).chain(twice).collect::<Vec<_>>()).prop_shuffle());
        let cuts = prop::collection::vec((any::<bool>(), prop::bool::weighted(0.2)), count + 3);
        (Just(acts), order, cuts)
    })
}

/// A project with two flows that nobody owns.
fn by_hand() -> Base {
    let job = |flow: &str| {
        (
            format!("{flow}.job"),
            Bytes::from_static(b"type=command\ncommand=x\n"),
        )
    };
    read(archive::write_zip(&["a", "b"].map(job).into()).into()).unwrap()
}

fn play(base: Base, acts: &[Act], order: &[usize], cuts: &[(bool, bool)]) -> World {
    let owner = "team-a";
    let mut world = World::of(base);
    let mut waiting = Vec::new();
    for (place, cut) in order.iter().zip(cuts) {
        let rank = *place as u64 + 1;
        waiting.push(owned(rank, owner, acts[*place].clone()));
        if cut.0 {
            world.take(&std::mem::take(&mut waiting), cut.1);
        }
    }
    world.take(&waiting, false);
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_order_of_delivery_ends_in_the_same_flows_and_schedules((acts, order, cuts) in deliveries()) {
        let in_order: Vec<usize> = (0..acts.len()).collect();
        for base in [Base::empty(), by_hand()] {
            let one_by_one = play(base.clone(), &acts, &in_order, &vec![(true, false); acts.len()]);
            let came = play(base, &acts, &order, &cuts);
            prop_assert_eq!(came.told(), one_by_one.told());
        }
    }
}
