//! How bad a night is: drawn once per seed, so that some nights are calm, some have one kind of trouble, some have all.

use crate::clock::Ms;
use crate::dice::Dice;

/// Chances are per mille.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// Machines with a consumer.
    pub(crate) nodes: usize,
    /// Projects.
    pub(crate) projects: usize,
    /// Flows per project that changes are about.
    pub(crate) flows: usize,
    /// Shards.
    pub(crate) shards: usize,
    /// Messages handed to the holder of a shard.
    pub(crate) prefetch: usize,
    /// Permits of all consumers together.
    pub(crate) tokens: usize,
    /// Runs.
    pub(crate) runs: usize,
    /// Owners.
    pub(crate) owners: usize,
    /// Whether projects are Flow 2.0.
    pub(crate) flow2: bool,
    /// The time in which faults and runs happen.
    pub(crate) night: Ms,
    /// The longest way of a packet.
    pub(crate) latency: Ms,
    /// Azkaban's own time for an upload: the usual longest and the rare longest.
    pub(crate) install: (Ms, Ms),
    /// kill -9 before and during an action.
    pub(crate) kill: u64,
    /// How often in the night consumers are frozen, cut off from the broker, from Azkaban, asked to leave.
    pub(crate) freezes: u64,
    /// Cuts between a machine and the broker.
    pub(crate) cuts: u64,
    /// Cuts between a machine and Azkaban.
    pub(crate) azkaban_cuts: u64,
    /// SIGTERMs.
    pub(crate) leaves: u64,
    /// Restarts of the broker.
    pub(crate) broker_restarts: u64,
    /// Restarts of Azkaban.
    pub(crate) azkaban_restarts: u64,
    /// Times in which Azkaban's database hangs.
    pub(crate) outages: u64,
    /// An answer of Azkaban that is lost on the way.
    pub(crate) lost_answer: u64,
    /// An HTML error page in place of an answer.
    pub(crate) page: u64,
    /// A persist that fails.
    pub(crate) persist_failure: u64,
    /// An upload of ours that is answered well, and lacks a flow.
    pub(crate) leaves_out: u64,
    /// An upload that the server is at for up to 45 minutes.
    pub(crate) stuck: u64,
    /// A body that takes long to be sent.
    pub(crate) slow_body: u64,
    /// A confirm that is lost, so that a producer publishes again.
    pub(crate) lost_confirm: u64,
    /// A producer that dies in the middle.
    pub(crate) producer_death: u64,
    /// Changes that only Azkaban refuses.
    pub(crate) poison: u64,
    /// People's visits.
    pub(crate) visits: u64,
    /// Whether people delete and make projects.
    pub(crate) recreate: bool,
}

impl Weather {
    /// The weather of a seed.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut weather = Self::calm(dice);
        // one night in eight has no faults at all
        let trouble = dice.between(0, 7);
        let some = |dice: &mut Dice, one_in: u64, low: u64, high: u64| {
            let wanted = trouble > 0 && dice.between(1, one_in) == 1;
            if wanted { dice.between(low, high) } else { 0 }
        };
        weather.kill = some(dice, 2, 5, 60);
        weather.freezes = some(dice, 3, 1, 3);
        weather.cuts = some(dice, 3, 1, 4);
        weather.azkaban_cuts = some(dice, 4, 1, 3);
        weather.leaves = some(dice, 3, 1, 4);
        weather.broker_restarts = some(dice, 4, 1, 2);
        weather.azkaban_restarts = some(dice, 3, 1, 3);
        weather.outages = some(dice, 4, 1, 2);
        weather.lost_answer = some(dice, 3, 10, 150);
        weather.page = some(dice, 4, 10, 100);
        weather.persist_failure = some(dice, 3, 20, 200);
        weather.stuck = some(dice, 5, 20, 150);
        weather.slow_body = some(dice, 3, 20, 300);
        weather.lost_confirm = some(dice, 3, 20, 200);
        weather.producer_death = some(dice, 4, 10, 50);
        weather.poison = some(dice, 3, 20, 150);
        weather.visits = some(dice, 3, 1, 5);
        weather.recreate = some(dice, 8, 1, 1) == 1;
        weather.leaves_out = some(dice, 6, 5, 50);
        weather
    }

    /// A night without any faults.
    pub(crate) fn calm(dice: &mut Dice) -> Self {
        Self {
            nodes: usize_of(dice.between(1, 4)),
            projects: usize_of(dice.between(1, 3)),
            flows: usize_of(dice.between(2, 7)),
            shards: usize_of(dice.between(1, 4)),
            prefetch: usize_of(dice.between(2, 8)),
            tokens: usize_of(dice.between(1, 6)),
            runs: usize_of(dice.between(1, 6)),
            owners: usize_of(dice.between(1, 2)),
            flow2: dice.chance(250),
            night: dice.skewed(30_000, 1_800_000),
            latency: dice.skewed(1, 40),
            install: (dice.skewed(50, 4_000), dice.skewed(4_000, 60_000)),
            kill: 0,
            freezes: 0,
            cuts: 0,
            azkaban_cuts: 0,
            leaves: 0,
            broker_restarts: 0,
            azkaban_restarts: 0,
            outages: 0,
            lost_answer: 0,
            page: 0,
            persist_failure: 0,
            leaves_out: 0,
            stuck: 0,
            slow_body: 0,
            lost_confirm: 0,
            producer_death: 0,
            poison: 0,
            visits: 0,
            recreate: false,
        }
    }
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
