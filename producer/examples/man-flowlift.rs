//! The manual pages of `flowlift`, one for each command: `cargo run -p flowlift --example man-flowlift -- FOLDER`.

use clap::CommandFactory as _;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    clap_mangen::generate_to(flowlift::cli::Cli::command(), folder)
}
