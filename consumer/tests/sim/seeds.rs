//! Plays many seeds, on all cores; a failing one is played again with its story.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use flowlift_consumer::project::Safeguards;

use crate::night::{Figures, Wrong, play};
use crate::story::Story;

/// How many seeds a plain test run plays; `FLOWLIFT_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 10_000;

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// What came of many seeds.
#[derive(Default)]
pub(crate) struct Played {
    /// The nights that kept the promise.
    pub(crate) good: Figures,
    /// Those that broke it, by seed.
    pub(crate) broken: Vec<(u64, Wrong)>,
}

/// Plays `count` seeds from `first` on, on all cores; `enough` says after which broken one to stop.
pub(crate) fn play_all(
    first: u64,
    count: u64,
    safeguards: Safeguards,
    enough: impl Fn(u64) -> bool + Sync,
) -> Played {
    let next = AtomicU64::new(first);
    let played = Mutex::new(Played::default());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let came = play_safely(seed, safeguards, &Rc::new(Story::new(false)));
            let mut played = played.lock().expect("no worker panics");
            match came {
                Ok(figures) => played.good.add(figures),
                Err(wrong) => {
                    played.broken.push((seed, wrong));
                    if enough(seed) {
                        next.store(first + count, Ordering::Relaxed);
                    }
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(worker)));
    });
    let mut played = played.into_inner().expect("no worker panics");
    played.broken.sort_by_key(|(seed, _)| *seed);
    played
}

#[test]
fn no_night_breaks_the_promise() {
    if let Some(seed) = number("FLOWLIFT_SIM_SEED") {
        return tell(seed);
    }
    let first = number("FLOWLIFT_SIM_FROM").unwrap_or(1);
    let count = number("FLOWLIFT_SIM_SEEDS").unwrap_or(SEEDS);
    let all = std::env::var_os("FLOWLIFT_SIM_ALL").is_some();
    let begun = Instant::now();
    let played = play_all(first, count, Safeguards::ALL, |_| !all);
    for (seed, wrong) in &played.broken {
        println!("seed {seed}: {}", wrong.join(" | "));
    }
    println!("{} in {:.1?}", played.good, begun.elapsed());
    if let Some((seed, _)) = played.broken.first() {
        tell(*seed);
    }
}

#[test]
fn a_seed_gives_the_same_night_every_time() {
    let night = |seed| {
        let story = Rc::new(Story::new(true));
        let _ = play_safely(seed, Safeguards::ALL, &story);
        story.text()
    };
    for seed in 1..=20 {
        let (once, again) = (night(seed), night(seed));
        let differs = once.lines().zip(again.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
    }
}

/// Plays one seed and tells its story.
#[expect(clippy::print_stdout, reason = "the story is what was asked for")]
fn tell(seed: u64) {
    let story = Rc::new(Story::new(true));
    match play_safely(seed, Safeguards::ALL, &story) {
        Ok(figures) => println!("{}seed {seed} keeps the promise: {figures}", story.text()),
        Err(wrong) => {
            println!("{}", story.text());
            panic!(
                "seed {seed} breaks the promise (make sim SEED={seed} tells it again):\n  {}",
                wrong.join("\n  ")
            );
        }
    }
}

/// A panic in the heart or the planner is as bad as a broken promise.
pub(crate) fn play_safely(seed: u64, safeguards: Safeguards, story: &Rc<Story>) -> Result<Figures, Wrong> {
    let night = AssertUnwindSafe(|| play(seed, safeguards, story));
    std::panic::catch_unwind(night).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        Err(vec![format!("a panic: {}", words.unwrap_or_default())])
    })
}
