//! What only the stand-in has: latency, faults, counters, limits, its command line.

mod faults;
mod latency;
mod limits;
mod program;
mod stats;
mod threads;
mod zombies;
