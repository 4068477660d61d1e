//! The manual page of `azkaban-standin`: `cargo run -p azkaban-standin --example man-azkaban-standin -- FOLDER`.

#[expect(dead_code, reason = "the program runs it, this one describes it")]
#[path = "../src/cli.rs"]
mod cli;

use clap::CommandFactory as _;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    clap_mangen::generate_to(cli::Cli::command().name("azkaban-standin"), folder)
}
