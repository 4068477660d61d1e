//! The manual page of `flowlift-consumer`: `cargo run -p flowlift-consumer --example man-flowlift-consumer -- FOLDER`.

use clap::CommandFactory as _;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    clap_mangen::generate_to(flowlift_consumer::config::Cli::command(), folder)
}
