//! Checks on the properties of every job, after the flows are made: memory and callbacks.

use std::collections::BTreeMap;

/// The most an `Xmx` may ask for, in KiB (`job.max.Xmx`, 2G).
pub(crate) const XMX_MAX: i64 = 2 << 20;
/// The most an `Xms` may ask for, in KiB (`job.max.Xms`, 1G).
pub(crate) const XMS_MAX: i64 = 1 << 20;
/// Callbacks of one status that are looked at.
const CALLBACKS_MAX: usize = 3;
/// The longest body of a callback, in UTF-16 units.
const BODY_MAX: usize = 4096;

/// What the checks of one job came to: messages, and the text of an exception, after which nothing else is looked at.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) messages: Vec<String>,
    pub(super) exception: Option<String>,
}

impl Checked {
    pub(super) fn of(job: &str, props: &BTreeMap<String, String>) -> Self {
        let mut messages = Vec::new();
        let exception = check_job(job, props, |message| messages.push(message)).err();
        Self { messages, exception }
    }

    pub(super) fn is_fine(&self) -> bool {
        self.messages.is_empty() && self.exception.is_none()
    }
}

/// Checks one job; `Err` is the text of an exception.
fn check_job(
    job: &str,
    props: &BTreeMap<String, String>,
    mut report: impl FnMut(String),
) -> Result<(), String> {
    for (key, max, limit) in [("Xms", XMS_MAX, "1G"), ("Xmx", XMX_MAX, "2G")] {
        if let Some(value) = props.get(key)
            && !is_variable(value)
            && memory_kib(value).map_err(|NotANumber(text)| format!("For input string: \"{text}\""))? > max
        {
            report(format!(
                "{job}: {key} value has exceeded the allowed limit (max {key} = {limit})"
            ));
        }
    }
    let prefix = "job.notification.";
    let has_callbacks = props
        .range(prefix.to_owned()..)
        .next()
        .is_some_and(|(key, _)| key.starts_with(prefix));
    if !has_callbacks {
        return Ok(());
    }
    for status in ["started", "completed", "success", "failure"] {
        callbacks(status, props, &mut report);
    }
    Ok(())
}

/// Text where Java's `Long.parseLong` found no number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotANumber(pub(crate) String);

/// `2G`, `512m`, `1024k` or bytes, in KiB.
pub(crate) fn memory_kib(text: &str) -> Result<i64, NotANumber> {
    let unit = text.chars().last().filter(|c| "gGmMkK".contains(*c));
    let digits = if unit.is_some() {
        &text[..text.len() - 1]
    } else {
        text
    };
    let number: i64 = digits.parse().map_err(|_| NotANumber(digits.to_owned()))?;
    // Java's arithmetic wraps
    Ok(match unit.map(|c| c.to_ascii_lowercase()) {
        Some('g') => number.wrapping_mul(1 << 20),
        Some('m') => number.wrapping_mul(1 << 10),
        Some(_) => number,
        None => number / 1024,
    })
}

/// `${name}` alone: resolved when the job runs, so not checked.
pub(crate) fn is_variable(value: &str) -> bool {
    let name = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
    })
}

fn callbacks(status: &str, props: &BTreeMap<String, String>, report: &mut impl FnMut(String)) {
    let get = |number: usize, what: &str| props.get(&format!("job.notification.{status}.{number}.{what}"));
    if get(0, "url").is_some() {
        report("Sequence number starts at 1, not 0".to_owned());
    }
    for number in 1..=CALLBACKS_MAX {
        let Some(url) = get(number, "url").filter(|url| !url.is_empty()) else {
            return;
        };
        match get(number, "method").map_or("GET", String::as_str) {
            "GET" => {}
            "POST" => {
                let length = get(number, "body").map_or(0, |body| body.encode_utf16().count());
                if length == 0 {
                    report(format!("No POST body was specified for job callback '{url}'"));
                } else if length > BODY_MAX {
                    report(format!(
                        "POST body length is : {length} which is larger than supported length of {BODY_MAX}"
                    ));
                }
            }
            other => report(format!(
                "Unsupported request method: {other} Only POST and GET are supported"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(props: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let props = props
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let mut found = Vec::new();
        check_job("j", &props, |message| found.push(message)).map(|()| found)
    }

    #[test]
    fn memory_over_the_limit_is_refused() {
        let xmx = "j: Xmx value has exceeded the allowed limit (max Xmx = 2G)";
        let xms = "j: Xms value has exceeded the allowed limit (max Xms = 1G)";
        assert_eq!(messages(&[("Xmx", "3G"), ("Xms", "1025m")]).unwrap(), [xms, xmx]);
        assert!(messages(&[("Xmx", "2G"), ("Xms", "1024M")]).unwrap().is_empty());
        assert!(messages(&[("Xmx", "${my.memory}")]).unwrap().is_empty());
        assert_eq!(messages(&[("Xmx", "2147484672")]).unwrap(), [xmx]);
    }

    #[test]
    fn memory_that_is_no_number_is_an_exception() {
        assert_eq!(
            messages(&[("Xmx", "zz")]).unwrap_err(),
            "For input string: \"zz\""
        );
        assert_eq!(
            messages(&[("Xmx", "zzg")]).unwrap_err(),
            "For input string: \"zz\""
        );
        assert_eq!(messages(&[("Xms", "")]).unwrap_err(), "For input string: \"\"");
    }

    #[test]
    fn callbacks_are_checked() {
        let key = "job.notification.success";
        let with = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| (format!("{key}.{k}"), *v)).collect();
            messages(&pairs.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(with(&[("0.url", "u")]), ["Sequence number starts at 1, not 0"]);
        assert_eq!(
            with(&[("1.url", "u"), ("1.method", "PUT")]),
            ["Unsupported request method: PUT Only POST and GET are supported"]
        );
        assert_eq!(
            with(&[("1.url", "u"), ("1.method", "POST")]),
            ["No POST body was specified for job callback 'u'"]
        );
        let long = "x".repeat(5000);
        assert_eq!(
            with(&[("1.url", "u"), ("1.method", "POST"), ("1.body", &long)]),
            ["POST body length is : 5000 which is larger than supported length of 4096"]
        );
        assert!(with(&[("1.url", "u")]).is_empty());
    }
}
