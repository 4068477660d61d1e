//! Runs a person's command at the end of waiting, with what became of the run in its environment.

use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::Duration;

use flowlift_common::shutdown::Shutdown;
use tokio::process::Command;

use super::{Ended, Summary};
use crate::exit::Failure;
use crate::reporter::Reporter;
use crate::words::span;

/// A command that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(300);

/// How a run stands when waiting for it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every change is done.
    Done,
    /// Some could not be applied.
    Dead,
    /// A threshold is broken.
    FailedThreshold,
    /// The time given is over.
    TimedOut,
    /// A signal came.
    Interrupted,
}

impl State {
    /// Of how waiting ended; `None`: the run could not be followed, and there is nothing to say of it.
    #[must_use]
    pub fn of(ended: &Ended) -> Option<Self> {
        match &ended.failure {
            Some(Failure::TimedOut(_)) => Some(Self::TimedOut),
            Some(Failure::Interrupted(_)) => Some(Self::Interrupted),
            Some(_) => None,
            None if !ended.broken.is_empty() => Some(Self::FailedThreshold),
            None if ended.summary.is_good() => Some(Self::Done),
            None => Some(Self::Dead),
        }
    }

    /// The word in FLOWLIFT_STATE.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Dead => "dead",
            Self::FailedThreshold => "failed-threshold",
            Self::TimedOut => "timed-out",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The variables the command gets.
#[must_use]
pub fn variables(ended: &Ended, state: State) -> Vec<(String, String)> {
    let summary = &ended.summary;
    let mut variables: Vec<(&str, String)> = vec![
        ("FLOWLIFT_RUN", summary.run().to_string()),
        ("FLOWLIFT_STATE", state.word().to_owned()),
        ("FLOWLIFT_CHANGES", summary.total().to_string()),
        ("FLOWLIFT_SETTLED", summary.done().to_string()),
        ("FLOWLIFT_UPLOADS", summary.uploads().to_string()),
        ("FLOWLIFT_SECONDS", format!("{:.1}", summary.took().as_secs_f64())),
        ("FLOWLIFT_SUMMARY", text(ended, summary)),
    ];
    if let Some((_, kept)) = summary.deadline() {
        variables.push(("FLOWLIFT_DEADLINE", kept.words()));
    }
    let outcomes = summary.outcomes().iter();
    let counts = outcomes.map(|(outcome, n)| {
        (
            format!("FLOWLIFT_{}", outcome.as_str().to_uppercase()),
            n.to_string(),
        )
    });
    let named = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    named.chain(counts).collect()
}

/// The sentences a person would have read.
fn text(ended: &Ended, summary: &Summary) -> String {
    // a variable cannot hold a zero byte, and a program's environment has no room for a thousand reasons
    const MOST: usize = 4_000;
    let mut lines = ended.broken.clone();
    match &ended.failure {
        Some(failure) => lines.push(failure.to_string()),
        None => lines.extend(summary.lines()),
    }
    let text = lines.join("\n").replace('\0', "\u{fffd}");
    text.chars().take(MOST).collect()
}

/// Whether a variable of this program's own environment is kept from the command: it holds a password, or may.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    name == "FLOWLIFT_AMQP_URL" || (name.starts_with("FLOWLIFT_") && name.ends_with("PASSWORD"))
}

/// Runs it. What it says goes to standard error; how it ends is said and changes nothing.
pub async fn notify(command: &str, ended: &Ended, reporter: &Reporter, shutdown: &Shutdown) {
    let Some(state) = State::of(ended) else { return };
    if let Err(problem) = run(command, &variables(ended, state), shutdown).await {
        reporter.warn(&format!("--notify: {problem}"));
    }
}

async fn run(command: &str, variables: &[(String, String)], shutdown: &Shutdown) -> Result<(), String> {
    // standard output is for results
    let stderr = std::io::stderr().as_fd().try_clone_to_owned();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    shell.stdout(stderr.map_or_else(|_| Stdio::null(), Stdio::from));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_secret) {
            shell.env_remove(name);
        }
    }
    shell.envs(variables.iter().map(|(name, value)| (name, value)));
    let mut child = shell
        .spawn()
        .map_err(|error| format!("sh cannot be started: {error}"))?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(|error| error.to_string())?,
        () = tokio::time::sleep(LIMIT) => return Err(format!("the command is ended, it took longer than {}", span(LIMIT))),
        () = shutdown.now.cancelled() => return Err("the command is ended, interrupted".into()),
    };
    if status.success() {
        Ok(())
    } else {
        Err(format!("the command failed ({status})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_common::fold::RunState;
    use flowlift_common::ledger::RunEvent;
    use flowlift_common::order::RunId;
    use uuid::Uuid;

    fn ended(failure: Option<Failure>, broken: &[&str]) -> Ended {
        let run = RunId(Uuid::from_u128(7));
        let mut state = RunState::new(run);
        state.run_event(&RunEvent::Closed {
            run,
            rank: 1,
            projects: [(flowlift_azkaban::ProjectName::new("p").unwrap(), 3)].into(),
            partial: false,
            at_ms: 0,
        });
        Ended {
            summary: Summary::of(&state, run, Duration::from_millis(12_340), 0),
            broken: broken.iter().map(|text| (*text).to_owned()).collect(),
            failure,
        }
    }

    #[test]
    fn the_command_is_told_how_the_run_stands() {
        let state = |ended: &Ended| State::of(ended).map(State::word);
        assert_eq!(state(&ended(None, &[])), Some("done"));
        assert_eq!(state(&ended(None, &["dead=0"])), Some("failed-threshold"));
        assert_eq!(
            state(&ended(Some(Failure::TimedOut("t".into())), &[])),
            Some("timed-out")
        );
        assert_eq!(
            state(&ended(Some(Failure::Interrupted("i".into())), &[])),
            Some("interrupted")
        );
        assert_eq!(state(&ended(Some(Failure::NoInput("n".into())), &[])), None);
    }

    #[test]
    fn the_figures_stand_in_variables() {
        let ended = ended(Some(Failure::TimedOut("0 of 3\0".into())), &[]);
        let variables = variables(&ended, State::TimedOut);
        let value = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(value("FLOWLIFT_CHANGES"), Some("3"));
        assert_eq!(
            (value("FLOWLIFT_APPLIED"), value("FLOWLIFT_DEAD")),
            (Some("0"), Some("0"))
        );
        assert_eq!(
            (value("FLOWLIFT_SECONDS"), value("FLOWLIFT_SUMMARY")),
            (Some("12.3"), Some("0 of 3\u{fffd}"))
        );
    }

    #[test]
    fn passwords_are_kept_from_it() {
        for secret in [
            "FLOWLIFT_AMQP_URL",
            "FLOWLIFT_AZKABAN_PASSWORD",
            "FLOWLIFT_OTHER_PASSWORD",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for open in [
            "FLOWLIFT_AZKABAN_PASSWORD_FILE",
            "FLOWLIFT_SHARDS",
            "MY_PASSWORD",
            "PATH",
        ] {
            assert!(!is_secret(open), "{open}");
        }
    }
}
