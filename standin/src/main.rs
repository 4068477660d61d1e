//! `azkaban-standin`: the stand-in as a program.

mod cli;
mod probe;

use std::io::Write;
use std::process::ExitCode;

use azkaban_standin::{DataError, Standin, StartError};
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Wrong settings, as in `sysexits.h`.
const USAGE: u8 = 64;
/// The data file is none.
const DATA: u8 = 65;
/// The data file cannot be used.
const IO: u8 = 74;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if cli.probe {
        return match probe::answers(cli.listen) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => fail(&reason, ExitCode::FAILURE),
        };
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();
    let options = match cli.options() {
        Ok(options) => options,
        Err(error) => return fail(&format!("{error:#}"), ExitCode::from(USAGE)),
    };
    // Before anybody is told that it runs: a signal may follow at once.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot listen to signals: {error}"), ExitCode::FAILURE),
    };
    let users = options
        .users
        .iter()
        .map(|user| user.name.clone())
        .collect::<Vec<_>>()
        .join(", ");
    let standin = match Standin::start(options).await {
        Ok(standin) => standin,
        Err(error) => return fail(&error.to_string(), code(&error)),
    };
    match cli.faults(&standin.faults()) {
        Ok(Some(faults)) => standin.set_faults(|now| *now = faults),
        Ok(None) => {}
        Err(error) => return fail(&format!("{error:#}"), ExitCode::from(USAGE)),
    }
    say(&format!(
        "azkaban-standin listens on {} (users: {users})",
        standin.url()
    ));
    say("NOTE: it runs the commands of flows on this machine, with your rights, for whoever can log in");
    if !standin.addr.ip().is_loopback() {
        say(
            "WARNING: other machines can reach it, log in and run commands here; keep it away from networks you do not trust",
        );
    }
    signals.first().await;
    standin.stop().await;
    ExitCode::SUCCESS
}

fn code(error: &StartError) -> ExitCode {
    match error {
        StartError::Listen(..) => ExitCode::FAILURE,
        StartError::Data(DataError::Foreign(..)) => ExitCode::from(DATA),
        StartError::Data(_) => ExitCode::from(IO),
    }
}

/// Signals that end the program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    async fn first(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// People read it on standard error; nobody can be told when that is closed.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn fail(text: &str, code: ExitCode) -> ExitCode {
    say(&format!("azkaban-standin: {text}"));
    code
}
