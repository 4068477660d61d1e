//! Plays many seeds, on all cores; a failing one is played again with its story.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use flowlift_consumer::project::Safeguards;

use crate::night::{Figures, Wrong, play};
use crate::story::Story;

/// How many seeds a plain test run plays; `FLOWLIFT_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_night_breaks_the_promise() {
    if let Some(seed) = number("FLOWLIFT_SIM_SEED") {
        return one(seed);
    }
    let (first, count) = (number("FLOWLIFT_SIM_FROM").unwrap_or(1), number("FLOWLIFT_SIM_SEEDS").unwrap_or(SEEDS));
    let begun = Instant::now();
    let (next, failed) = (AtomicU64::new(first), AtomicU64::new(u64::MAX));
    let stop = AtomicBool::new(false);
    let keep_going = std::env::var_os("FLOWLIFT_SIM_ALL").is_some();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let total = std::thread::scope(|scope| {
        let worker = || {
            let mut total = Figures::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count || stop.load(Ordering::Relaxed) {
                    return total;
                }
                match play_safely(seed, &Rc::new(Story::new(false))) {
                    Ok(figures) => total.add(figures),
                    Err(wrong) => {
                        failed.fetch_min(seed, Ordering::Relaxed);
                        println!("seed {seed}: {}", wrong.join(" | "));
                        stop.store(!keep_going, Ordering::Relaxed);
                    }
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().fold(Figures::default(), |mut total, worker| {
            total.add(worker.join().expect("a worker that panics fails the test"));
            total
        })
    });
    println!("{total} in {:.1?}", begun.elapsed());
    let failed = failed.into_inner();
    if failed != u64::MAX {
        one(failed);
    }
}

/// Plays one seed and tells its story.
fn one(seed: u64) {
    let story = Rc::new(Story::new(true));
    match play_safely(seed, &story) {
        Ok(figures) => println!("seed {seed}: {figures}"),
        Err(wrong) => {
            println!("{}", story.text());
            panic!("seed {seed} breaks the promise:\n  {}", wrong.join("\n  "));
        }
    }
}

/// A panic in the heart or the planner is as bad as a broken promise.
fn play_safely(seed: u64, story: &Rc<Story>) -> Result<Figures, Wrong> {
    let night = AssertUnwindSafe(|| play(seed, Safeguards::ALL, story));
    std::panic::catch_unwind(night).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        Err(vec![format!("a panic: {}", words.unwrap_or_default())])
    })
}
