//! Properties a job runs with: layers over each other, `${name}` replaced, `$(...)` evaluated (pure).

use std::collections::BTreeMap;

use crate::exec::expression;

/// Names and values.
pub(crate) type Props = BTreeMap<String, String>;

/// A value may grow to this many bytes: a few lines can otherwise double it again and again.
const VALUE_MAX: usize = 1 << 20;
/// References within references.
const DEPTH_MAX: usize = 100;

/// Puts layers over each other; later ones win.
pub(crate) fn layered<'a>(layers: impl IntoIterator<Item = &'a Props>) -> Props {
    let mut all = Props::new();
    for layer in layers {
        all.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    all
}

/// Replaces `${name}` in all values and evaluates `$(...)` then, or says in Azkaban's words why it cannot be done.
pub(crate) fn resolve(props: &Props) -> Result<Props, String> {
    let mut done = BTreeMap::new();
    for (name, value) in props {
        let resolved = replace(value, props, &mut vec![name.as_str()])?;
        done.insert(name.clone(), resolved);
    }
    done.into_iter()
        .map(|(name, value)| Ok((name, expression::evaluate(&value)?)))
        .collect()
}

fn replace<'a>(value: &'a str, props: &'a Props, visited: &mut Vec<&'a str>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, name, after)) = next_variable(rest) {
        out.push_str(before);
        if visited.contains(&name) {
            let path = visited.join("->");
            return Err(format!(
                "Circular variable substitution found: [{path}] -> [{name}]"
            ));
        }
        visited.push(name);
        let Some(replacement) = props.get(name).filter(|_| visited.len() < DEPTH_MAX) else {
            let path = visited.join("->");
            return Err(format!(
                "Could not find variable substitution for variable(s) [{path}]"
            ));
        };
        out.push_str(&replace(replacement, props, visited)?);
        visited.pop();
        if out.len() > VALUE_MAX {
            return Err("Java heap space".to_owned());
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands before the next `${name}`, the name, and what stands behind it.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("${")?;
        let inner = &text[start + 2..];
        let end = inner
            .find(|char: char| !(char.is_ascii_alphanumeric() || "_.-".contains(char)))
            .unwrap_or(inner.len());
        if end > 0 && inner[end..].starts_with('}') {
            return Some((&text[..start], &inner[..end], &inner[end + 1..]));
        }
        from = start + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn references_are_followed() {
        let resolved = resolve(&props(&[
            ("a", "x ${b}${b} ${} ${c"),
            ("b", "[${d.e-f}]"),
            ("d.e-f", "1"),
        ]))
        .unwrap();
        assert_eq!(resolved["a"], "x [1][1] ${} ${c");
    }

    #[test]
    fn what_cannot_be_followed_is_told_in_azkabans_words() {
        let unknown = resolve(&props(&[("command", "echo ${nope}")])).unwrap_err();
        assert_eq!(
            unknown,
            "Could not find variable substitution for variable(s) [command->nope]"
        );
        let circle = resolve(&props(&[("a", "${b}"), ("b", "${a}")])).unwrap_err();
        assert_eq!(circle, "Circular variable substitution found: [a->b] -> [a]");
    }

    #[test]
    fn a_value_that_doubles_with_each_step_is_given_up() {
        let mut all = Props::from([("v0".to_owned(), "x".repeat(64))]);
        for step in 1..60 {
            let before = format!("${{v{}}}", step - 1);
            all.insert(format!("v{step}"), before.repeat(2));
        }
        assert_eq!(resolve(&all).unwrap_err(), "Java heap space");
    }

    #[test]
    fn later_layers_win() {
        let (low, high) = (props(&[("a", "1"), ("b", "1")]), props(&[("b", "2")]));
        assert_eq!(layered([&low, &high]), props(&[("a", "1"), ("b", "2")]));
    }

    proptest! {
        #[test]
        fn any_values_are_resolved_or_refused(values in proptest::collection::vec("[$\\{\\}ab(\\) ]{0,12}", 2)) {
            let _ = resolve(&props(&[("a", &values[0]), ("b", &values[1])]));
        }
    }
}
