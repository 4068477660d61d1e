//! `flowlift-consumer`: parse, start telemetry, run, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use flowlift_common::shutdown::Shutdown;
use flowlift_common::telemetry;
use flowlift_consumer::config::{Cli, Config};
use flowlift_consumer::{app, probe};

/// EX_IOERR: the system gives no threads or signals.
const SYSTEM: u8 = 74;
/// EX_USAGE: FLOWLIFT_LOG_LEVEL cannot be read.
const USAGE: u8 = 64;
/// The consumer that `--probe` asked is not ready.
const UNREADY: u8 = 1;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code.into(),
    };
    if cli.probe {
        return probed(&cli).into();
    }
    if let Err(reason) = telemetry::init(cli.log(), "info") {
        // nothing is logged yet
        let _ = writeln!(std::io::stderr(), "error: {reason}");
        return USAGE.into();
    }
    let config = match Config::check(cli) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return error.exit_code().into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return SYSTEM.into();
        }
    };
    let code = runtime.block_on(run(config));
    // uploads that the grace time did not wait for must not hold the process up
    runtime.shutdown_background();
    code.into()
}

/// Health checks show what was written last.
fn probed(cli: &Cli) -> u8 {
    let (code, reason) = match cli.probed().map(|listen| probe::ready(&listen)) {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => (UNREADY, error.to_string()),
        Err(error) => (error.exit_code(), error.to_string()),
    };
    let _ = writeln!(std::io::stderr(), "flowlift-consumer: {reason}");
    code
}

async fn run(config: Config) -> u8 {
    let shutdown = match Shutdown::listen() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            tracing::error!("cannot watch signals: {error}");
            return SYSTEM;
        }
    };
    match app::run(config, shutdown).await {
        Ok(code) => code,
        Err(fatal) => {
            tracing::error!("{fatal}");
            fatal.exit_code()
        }
    }
}
