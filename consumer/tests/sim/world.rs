//! Everything there is in one night.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use flowlift_consumer::project::Safeguards;

use crate::azkaban::Azkaban;
use crate::broker::Broker;
use crate::broker::link::Links;
use crate::check::Watch;
use crate::clock::{Clock, Ms};
use crate::dice::Dice;
use crate::node::Node;
use crate::story::Story;
use crate::truth::Truth;
use crate::weather::Weather;

/// The world of a seed.
pub(crate) struct World {
    pub(crate) clock: Rc<Clock>,
    pub(crate) dice: RefCell<Dice>,
    pub(crate) story: Rc<Story>,
    pub(crate) weather: Weather,
    pub(crate) broker: RefCell<Broker>,
    pub(crate) links: RefCell<Links>,
    pub(crate) azkaban: Azkaban,
    pub(crate) nodes: Vec<Rc<Node>>,
    /// What was asked for.
    pub(crate) truth: RefCell<Truth>,
    /// What is checked on the way.
    pub(crate) watch: Watch,
    /// The step before which the next consumer that comes to it dies.
    pub(crate) ambush: RefCell<Option<&'static str>>,
    /// What is on of what keeps the promise.
    pub(crate) safeguards: Safeguards,
    /// Whether trouble is over: nothing fails any more.
    pub(crate) calm: Cell<bool>,
    /// People who are at it.
    pub(crate) visiting: Cell<usize>,
}

/// A handle to the world, kept by every task.
pub(crate) type W = Rc<World>;

impl World {
    /// An empty world: idle consumers, no project.
    pub(crate) fn new(weather: Weather, dice: Dice, safeguards: Safeguards, story: &Rc<Story>) -> W {
        let clock = Rc::new(Clock::default());
        Rc::new(Self {
            broker: RefCell::new(Broker::new(weather.shards, weather.tokens)),
            links: RefCell::default(),
            azkaban: Azkaban::new(&clock),
            nodes: (0..weather.nodes)
                .map(|index| Rc::new(Node::new(index)))
                .collect(),
            truth: RefCell::default(),
            watch: Watch::default(),
            ambush: RefCell::default(),
            safeguards,
            calm: Cell::new(false),
            visiting: Cell::default(),
            dice: RefCell::new(dice),
            story: Rc::clone(story),
            clock,
            weather,
        })
    }

    /// The present time.
    pub(crate) fn now(&self) -> Ms {
        self.clock.now()
    }

    /// Whether something bad happens that has a chance of `per_mille`; never once trouble is over.
    pub(crate) fn strikes(&self, per_mille: u64) -> bool {
        !self.calm.get() && self.dice.borrow_mut().chance(per_mille)
    }

    /// A number of `low..=high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        self.dice.borrow_mut().between(low, high)
    }

    /// A number of `low..=high`, small ones more often.
    pub(crate) fn skewed(&self, low: u64, high: u64) -> u64 {
        self.dice.borrow_mut().skewed(low, high)
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        self.dice.borrow_mut().pick(of)
    }

    /// A place in a list of this length, which must not be empty.
    pub(crate) fn index(&self, len: usize) -> usize {
        self.dice.borrow_mut().index(len)
    }

    /// An id.
    pub(crate) fn uuid(&self) -> uuid::Uuid {
        self.dice.borrow_mut().uuid()
    }

    /// A state for somebody else's generator.
    pub(crate) fn seed(&self) -> u64 {
        self.dice.borrow_mut().seed()
    }

    /// The time a packet takes.
    pub(crate) fn latency(&self) -> Ms {
        self.skewed(1, self.weather.latency)
    }
}

/// Adds a line to the story.
macro_rules! tell {
    ($world:expr, $($words:tt)*) => {
        $world.story.tell($world.now(), || format!($($words)*))
    };
}
pub(crate) use tell;
