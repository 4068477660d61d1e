//! What only the stand-in has: latency, faults, counters, limits, its command line.

mod data;
mod faults;
mod firing;
mod fuzz;
mod latency;
mod limits;
mod lockdown;
mod program;
mod robust;
mod running;
mod stats;
mod threads;
mod zombies;
