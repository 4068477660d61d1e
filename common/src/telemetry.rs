//! Logs on standard error: lines for people, or JSON for programs.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The form of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Log {
    /// Lines for people; coloured on a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// What is quietened whatever the level: connection noise that the programs report in their own words.
const QUIET: &str = "lapin=off,hyper=warn,h2=warn,rustls=warn,rustls_platform_verifier=off,reqwest=warn";

/// Starts logging to standard error; `level` (`info`, `warn`, ...) counts unless FLOWLIFT_LOG_LEVEL or RUST_LOG is set.
///
/// # Errors
/// When FLOWLIFT_LOG_LEVEL or RUST_LOG cannot be read (the text says why), or logging was started before.
pub fn init(log: Log, level: &str) -> Result<(), String> {
    let colour = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    init_to(log, level, colour, io::stderr)
}

/// As [`init`], to another writer: a progress bar has to make room for each line.
pub fn init_to<W>(log: Log, level: &str, colour: bool, writer: W) -> Result<(), String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter(level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // a log that nobody reads any more must not end the program: the complaint about it would panic
        .log_internal_errors(false)
        .with_writer(writer);
    let started = match log {
        Log::Human => builder.with_target(false).with_ansi(colour).try_init(),
        Log::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    };
    started.map_err(|error| error.to_string())
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    let asked = ["FLOWLIFT_LOG_LEVEL", "RUST_LOG"].into_iter().find_map(|name| {
        std::env::var(name)
            .ok()
            .filter(|text| !text.is_empty())
            .map(|text| (name, text))
    });
    match asked {
        Some((name, text)) => EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|error| {
            format!("{name} is {text:?}, expected a level like info or flowlift=debug: {error}")
        }),
        None => EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_leaves_lapin_quiet() {
        let filter = filter("debug").unwrap().to_string();
        assert!(
            filter.contains("lapin=off") && filter.contains("debug"),
            "{filter}"
        );
    }
}
