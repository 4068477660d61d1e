//! Asks a person before something that is hard to take back.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use flowlift_common::config::Settings;

use crate::exit::Failure;

/// Asks `question`; without a terminal only `--yes` agrees.
pub fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::NotAgreed(format!(
            "{question} Without a terminal this needs --yes"
        )));
    }
    match ask(&format!("{question} [y/N]"))?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::NotAgreed("nothing was done".into())),
    }
}

/// Has the name of a protected target said: with `--confirm-target`, or typed on a terminal.
///
/// # Errors
/// [`Failure::Protected`].
pub fn target(settings: &Settings, said: Option<&str>) -> Result<(), Failure> {
    let name = settings.target.as_deref().filter(|_| settings.protected);
    match (verdict(name, said), name) {
        (Verdict::Ask, Some(name)) if io::stdin().is_terminal() => {
            let typed = ask(&format!("Target {name} is protected. Type its name to go on:"))?;
            refusal(verdict(Some(name), Some(&typed)), name)
        }
        (verdict, name) => refusal(verdict, name.unwrap_or_default()),
    }
}

/// What is to be done before something is changed.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Go,
    /// Somebody has to name the target.
    Ask,
    /// Another one was named.
    Other(String),
}

fn verdict(protected: Option<&str>, said: Option<&str>) -> Verdict {
    match (protected, said) {
        (None, _) => Verdict::Go,
        (Some(_), None) => Verdict::Ask,
        (Some(name), Some(said)) if name == said => Verdict::Go,
        (Some(_), Some(said)) => Verdict::Other(said.to_owned()),
    }
}

fn refusal(verdict: Verdict, name: &str) -> Result<(), Failure> {
    match verdict {
        Verdict::Go => Ok(()),
        Verdict::Ask => Err(Failure::Protected(format!(
            "target {name} is protected: without a terminal this needs --confirm-target {name}"
        ))),
        Verdict::Other(said) => Err(Failure::Protected(format!(
            "target {name} is protected, and {said:?} is not its name: nothing was done"
        ))),
    }
}

fn ask(question: &str) -> Result<String, Failure> {
    let failed = |source| Failure::Io {
        path: "the terminal".into(),
        source,
    };
    write!(anstream::stderr(), "{question} ").map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_name_of_a_protected_target_lets_somebody_on() {
        assert_eq!(verdict(None, None), Verdict::Go);
        assert_eq!(verdict(None, Some("night")), Verdict::Go);
        assert_eq!(verdict(Some("night"), Some("night")), Verdict::Go);
        assert_eq!(verdict(Some("night"), None), Verdict::Ask);
        for said in ["", "Night", "day"] {
            assert_eq!(verdict(Some("night"), Some(said)), Verdict::Other(said.into()));
        }
    }
}
