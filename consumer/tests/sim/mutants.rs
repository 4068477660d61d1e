//! Would the simulation notice? Each safeguard is switched off, one at a time; some night must break the promise then.

use std::time::Instant;

use flowlift_consumer::project::Safeguards;

use crate::seeds::{number, play_all};

/// So many nights each safeguard's absence may stay unnoticed.
const SEEDS: u64 = 5_000;

const ALL: Safeguards = Safeguards::ALL;

/// Each safeguard's name and what is left without it.
const MUTANTS: [(&str, Safeguards); 6] = [
    ("the fence", Safeguards { fence: false, ..ALL }),
    ("the manifest's orders", Safeguards { manifest: false, ..ALL }),
    (
        "the version check",
        Safeguards {
            version_check: false,
            ..ALL
        },
    ),
    (
        "the shrink guard",
        Safeguards {
            shrink_guard: false,
            ..ALL
        },
    ),
    ("the read-back", Safeguards { read_back: false, ..ALL }),
    (
        "the second look",
        Safeguards {
            second_look: false,
            ..ALL
        },
    ),
];

#[test]
#[ignore = "minutes; make mutants"]
fn every_safeguard_is_missed_when_it_is_off() {
    let count = number("FLOWLIFT_SIM_SEEDS").unwrap_or(SEEDS);
    let mut unnoticed = Vec::new();
    for (name, safeguards) in MUTANTS {
        let begun = Instant::now();
        // a night that is broken anyway shows nothing
        let shows = |seed: u64| play_all(seed, 1, ALL, |_| true).broken.is_empty();
        let played = play_all(1, count, safeguards, shows);
        match played.broken.iter().find(|(seed, _)| shows(*seed)) {
            Some((seed, wrong)) => println!(
                "without {name}: seed {seed} breaks the promise, found in {:.1?}: {}",
                begun.elapsed(),
                wrong[0]
            ),
            None => {
                println!("without {name}: {count} seeds notice nothing, in {:.1?}", begun.elapsed());
                unnoticed.push(name);
            }
        }
    }
    assert!(unnoticed.is_empty(), "nobody would miss {}", unnoticed.join(", "));
}
