//! `flowlift`: parse, start, run, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use flowlift::cli::Cli;
use flowlift::command;
use flowlift::exit::{Exit, Failure};
use flowlift::reporter::Reporter;
use flowlift_common::telemetry;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return match error.print() {
                Ok(()) => exit(code),
                Err(_) => exit(Exit::Io),
            };
        }
    };
    let reporter = Reporter::new(cli.common.json, cli.common.quiet);
    match start(cli, reporter.clone()) {
        Ok(()) => exit(Exit::Done),
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                reporter.warn(&text);
            }
            let _ = std::io::stderr().flush();
            exit(failure.exit())
        }
    }
}

fn start(cli: Cli, reporter: Reporter) -> Result<(), Failure> {
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    telemetry::init_to(
        cli.common.log.unwrap_or_default(),
        "warn",
        colour,
        reporter.clone(),
    )
    .map_err(Failure::Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Io {
            path: "threads".into(),
            source,
        })?;
    let ended = runtime.block_on(command::run(cli, reporter));
    // a thread that waits for standard input or a broker that hangs must not keep the program from ending
    runtime.shutdown_background();
    ended
}

fn exit(code: Exit) -> ExitCode {
    ExitCode::from(code as u8)
}
