//! The whole road in virtual time: model broker, model Azkaban, model producers and people, and the real heart and planner.
//!
//! `cargo test -p flowlift-consumer --test sim` plays nights from seeds; `make sim SEEDS=n` more of them, `make sim SEED=s`
//! one with its story. A seed gives the same night everywhere.

mod azkaban;
mod broker;
mod check;
mod clock;
mod dice;
mod faults;
mod mutants;
mod night;
mod node;
mod people;
mod producer;
mod seeds;
mod stories;
mod story;
mod truth;
mod weather;
mod world;
