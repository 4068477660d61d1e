//! `azkaban-standin`: the stand-in as a program.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use azkaban_standin::Standin;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Wrong settings, as in `sysexits.h`.
const USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();
    let options = match cli.options() {
        Ok(options) => options,
        Err(error) => return fail(&format!("{error:#}"), ExitCode::from(USAGE)),
    };
    let listen = options.listen;
    let users = options
        .users
        .iter()
        .map(|user| user.name.clone())
        .collect::<Vec<_>>()
        .join(", ");
    let standin = match Standin::start(options).await {
        Ok(standin) => standin,
        Err(error) => return fail(&format!("cannot listen on {listen}: {error}"), ExitCode::FAILURE),
    };
    say(&format!(
        "azkaban-standin listens on {} (users: {users})",
        standin.url()
    ));
    if !standin.addr.ip().is_loopback() {
        say("WARNING: other machines can reach it; keep it away from networks you do not trust");
    }
    wait_for_signal().await;
    standin.stop().await;
    ExitCode::SUCCESS
}

async fn wait_for_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
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
