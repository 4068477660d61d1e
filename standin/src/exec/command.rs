//! Command lines as Azkaban takes them apart: blanks and quotes, and no shell (pure).

/// Words of a command; quotes of both kinds keep blanks together and are dropped, nothing else is special.
pub(crate) fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut single, mut double) = (false, false);
    for char in command.chars() {
        match char {
            ' ' if !single && !double => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_together_and_nothing_else_is_special() {
        assert_eq!(
            words("sh -c \"echo 'a  b' | wc\"  x$HOME '' '\"'"),
            ["sh", "-c", "echo 'a  b' | wc", "x$HOME", "\""]
        );
        assert_eq!(words("  "), Vec::<String>::new());
        assert_eq!(words("a\tb 'open end"), ["a\tb", "open end"]);
    }
}
