//! Conditions of jobs (`one_success && ${a:code} == 0`): what Azkaban refuses in them.

/// The macros on the status of the jobs before.
const MACROS: [&str; 5] = [
    "all_success",
    "all_failed",
    "all_done",
    "one_failed",
    "one_success",
];

/// A fault of a condition, as a clause after `Invalid condition for J: `.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// More than one macro.
    Macros,
    /// Nothing between two operators.
    Empty,
    /// Neither macro, number, string nor `${job:key}`.
    Syntax,
}

/// What stands between the operators.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A variable of another job.
    Job(String),
    /// A fault.
    Fault(Fault),
}

/// Takes a condition apart; macros, numbers and strings in good order are left out.
pub(crate) fn operands(condition: &str) -> Vec<Operand> {
    let bare: String = condition
        .chars()
        .filter(|c| !is_space(*c) && !matches!(c, '(' | ')'))
        .collect();
    let mut found = Vec::new();
    let mut seen_macro = false;
    for operand in split(&bare) {
        if MACROS.iter().any(|name| name.eq_ignore_ascii_case(operand)) {
            if seen_macro {
                found.push(Operand::Fault(Fault::Macros));
            }
            seen_macro = true;
            continue;
        }
        let operand = operand.strip_prefix('!').unwrap_or(operand);
        if operand.is_empty() {
            found.push(Operand::Fault(Fault::Empty));
        } else if !is_literal(operand) {
            found.push(job_of(operand).map_or(Operand::Fault(Fault::Syntax), Operand::Job));
        }
    }
    found
}

/// Cuts at `&&`, `||`, `==`, `!=`, `>`, `>=`, `<`, `<=`; empty pieces at the end fall away, as with Java's `split`.
fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        // `>` is tried before `>=`, which therefore leaves a `=` behind, as in Azkaban
        let length = match rest {
            [b'&', b'&', ..] | [b'|', b'|', ..] | [b'=', b'=', ..] | [b'!', b'=', ..] => 2,
            [b'>' | b'<', ..] => 1,
            _ => 0,
        };
        if length == 0 {
            at += 1;
            continue;
        }
        pieces.push(&text[start..at]);
        at += length;
        start = at;
    }
    if pieces.is_empty() {
        return vec![text];
    }
    pieces.push(&text[start..]);
    while pieces.last().is_some_and(|piece| piece.is_empty()) {
        pieces.pop();
    }
    pieces
}

/// Java's `\s`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

fn is_literal(operand: &str) -> bool {
    let quoted = |quote: char| operand.len() >= 2 && operand.starts_with(quote) && operand.ends_with(quote);
    operand.bytes().all(|b| b.is_ascii_digit()) || quoted('\'') || quoted('"')
}

/// The job in `${job:key}`.
fn job_of(operand: &str) -> Option<String> {
    let inner = operand.strip_prefix("${")?.strip_suffix('}')?;
    let (job, key) = inner.split_once(':')?;
    let plain = |text: &str| !text.is_empty() && !text.contains([':', '{', '}']);
    (plain(job) && plain(key)).then(|| job.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str) -> Operand {
        Operand::Job(name.to_owned())
    }

    #[test]
    fn good_conditions_name_their_jobs() {
        assert_eq!(operands("one_success"), []);
        assert_eq!(operands("( All_Done ) && ${a:x} == 'y'"), [job("a")]);
        assert_eq!(operands("${a:x} > 1 || !${b:y} < \"z\""), [job("a"), job("b")]);
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(
            operands("one_success && all_done"),
            [Operand::Fault(Fault::Macros)]
        );
        assert_eq!(operands("&& ${a:x}"), [Operand::Fault(Fault::Empty), job("a")]);
        assert_eq!(operands(""), [Operand::Fault(Fault::Empty)]);
        for bad in ["foo", "${a}", "${a:b:c}", "${:b}", "1 + 2"] {
            assert_eq!(operands(bad), [Operand::Fault(Fault::Syntax)], "{bad}");
        }
    }
}
