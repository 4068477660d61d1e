//! Asks a person before something that is hard to take back.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

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
    let failed = |source| Failure::Io {
        path: "the terminal".into(),
        source,
    };
    write!(anstream::stderr(), "{question} [y/N] ").map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::NotAgreed("nothing was done".into())),
    }
}
