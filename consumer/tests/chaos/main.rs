//! `make chaos`: real RabbitMQ, a stand-in for Azkaban (or a real one), real consumers and the real producer, and everything
//! that can go wrong with them. Each round plays one fault under load; afterwards what Azkaban has is read back and compared
//! with what it must have.
//!
//! It is no test of the test suite: without `FLOWLIFT_CHAOS` (which `dev/chaos` sets) it does nothing and says so.

#![cfg(test)]

mod broker;
mod curl;
mod dice;
mod expected;
mod lane;
mod load;
mod options;
mod patience;
mod people;
mod play;
mod program;
mod readback;
mod records;
mod rounds;
mod scene;
mod standin;
mod table;
mod wire;

use std::process::ExitCode;

use options::Options;
use tokio::task::LocalSet;

fn main() -> ExitCode {
    let Some(options) = Options::read() else {
        println!("skipped: faults are played by `make chaos`");
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if LocalSet::new().block_on(&runtime, lane::play_all(&options)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
