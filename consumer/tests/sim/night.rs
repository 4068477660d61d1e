//! One night, from a seed: consumers start and join, producers publish, things go wrong; then all is well and everything
//! must come to its end.

use std::rc::Rc;

use flowlift_consumer::project::Safeguards;

use crate::check;
use crate::clock::{Ms, OUTSIDE};
use crate::dice::Dice;
use crate::faults;
use crate::node::life;
use crate::people;
use crate::producer;
use crate::story::Story;
use crate::weather::Weather;
use crate::world::{W, World, tell};

/// How long after the last fault everything must be settled.
const DRAIN: Ms = 4 * 3_600_000;
/// How long the quiet afterwards is watched: the latest looks at doubtful uploads fall into it.
const QUIET: Ms = 2 * 3_600_000;

/// What a night was like.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    /// How many nights.
    pub(crate) nights: u64,
    /// Changes that were asked for.
    pub(crate) changes: u64,
    /// Messages stored, duplicates included.
    pub(crate) messages: u64,
    /// Uploads that landed.
    pub(crate) landed: u64,
    /// Tasks polled.
    pub(crate) polls: u64,
    /// Simulated time.
    pub(crate) time: Ms,
}

impl Figures {
    /// Adds those of another night.
    pub(crate) fn add(&mut self, other: Self) {
        self.nights += other.nights;
        self.changes += other.changes;
        self.messages += other.messages;
        self.landed += other.landed;
        self.polls += other.polls;
        self.time += other.time;
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} nights ({} simulated hours): {} changes in {} messages, {} uploads landed, {} steps",
            self.nights,
            self.time / 3_600_000,
            self.changes,
            self.messages,
            self.landed,
            self.polls
        )
    }
}

/// What is wrong with a night that broke a promise, one sentence each.
pub(crate) type Wrong = Vec<String>;

/// Plays a seed and tells the story.
pub(crate) fn play(seed: u64, safeguards: Safeguards, story: &Rc<Story>) -> Result<Figures, Wrong> {
    let mut dice = Dice::new(seed);
    let weather = Weather::draw(&mut dice);
    let w = World::new(weather, dice, safeguards, story);
    tell!(w, "seed {seed}: {:?}", w.weather);
    begin(&w);
    let result = finish(&w);
    w.clock.end();
    result
}

fn begin(w: &W) {
    for node in 0..w.nodes.len() {
        let world = Rc::clone(w);
        let at = if node == 0 {
            0
        } else {
            w.between(0, w.weather.night / 2)
        };
        w.clock.spawn(OUTSIDE, async move {
            world.clock.sleep(at).await;
            life::start(&world, node);
        });
    }
    for run in 0..w.weather.runs {
        let world = Rc::clone(w);
        let at = w.between(0, w.weather.night);
        w.clock.spawn(OUTSIDE, async move {
            world.clock.sleep(at).await;
            producer::run(world, run).await;
        });
    }
    people::come(w);
    faults::spread(w);
}

/// Plays the night to its end and judges it.
pub(crate) fn finish(w: &W) -> Result<Figures, Wrong> {
    w.clock.run(w.weather.night);
    w.calm.set(true);
    tell!(w, "nothing fails any more");
    let end = w.now() + DRAIN;
    while w.now() < end && !(is_over(w) && check::is_drained(w)) {
        w.clock.run(w.now() + 60_000);
        (0..w.nodes.len()).for_each(|node| life::start(w, node));
    }
    if w.weather.visits > 0 && check::is_drained(w) {
        // what people upload when nothing is going on is found by the next message, as `flowlift verify --repair` sends it
        (0..w.weather.projects).for_each(|project| producer::check(w, project));
        w.clock.run(w.now() + 1_000);
        while w.now() < end + DRAIN && !check::is_drained(w) {
            w.clock.run(w.now() + 60_000);
        }
    }
    let mut wrong = w.watch.wrong();
    if check::is_drained(w) {
        let before = w.azkaban.requests.get();
        w.clock.run(w.now() + QUIET);
        wrong.extend(check::quiet::judge(w, before));
        wrong.extend(check::last::judge(w));
    } else {
        wrong.push(check::not_drained(w));
    }
    if wrong.is_empty() {
        return Ok(Figures {
            nights: 1,
            changes: w.truth.borrow().asked.len() as u64,
            messages: w.truth.borrow().messages,
            landed: w.watch.landings(),
            polls: w.clock.polls(),
            time: w.now(),
        });
    }
    Err(wrong)
}

/// Whether producers and faults have come to their ends: the night's last ones may take a while longer.
fn is_over(w: &W) -> bool {
    w.now() > w.weather.night + 20 * 60_000
        && w.broker.borrow().up
        && w.azkaban.up.get()
        && w.azkaban.hangs_until.get() <= w.now()
        && w.azkaban.installing.get() == 0
        && w.visiting.get() == 0
        && w.nodes.iter().all(|node| !node.frozen.get())
}
