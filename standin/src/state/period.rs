//! Periods of schedules: so many days, hours, ..., as Azkaban reads, writes and adds them (pure).

use jiff::{Span, Zoned};
use serde::{Deserialize, Serialize};

/// Azkaban gives up counting after so many periods.
const STEPS_MAX: u32 = 100_000;

/// A number of years, months, ...; none or a negative one is taken too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Period {
    count: i32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

/// The period would have to be added too often to come to the present.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("100000 increments of period did not get to present time.")]
pub(crate) struct TooManySteps;

impl Unit {
    const ALL: [(char, &str, Self); 7] = [
        ('y', "year", Self::Year),
        ('M', "month", Self::Month),
        ('w', "week", Self::Week),
        ('d', "day", Self::Day),
        ('h', "hour", Self::Hour),
        ('m', "minute", Self::Minute),
        ('s', "second", Self::Second),
    ];

    fn names(self) -> (char, &'static str) {
        let found = Self::ALL.iter().find(|(_, _, unit)| *unit == self);
        found.map_or(('n', "null"), |&(letter, word, _)| (letter, word))
    }
}

impl Period {
    /// Reads `5w`; what ends with `n` is no period. An error is in the words of Java or Azkaban.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some((at, letter)) = text.char_indices().next_back() else {
            return Err("String index out of range: -1".to_owned());
        };
        if letter == 'n' || text == "null" {
            return Ok(None);
        }
        let number = &text[..at];
        let count = number
            .parse()
            .map_err(|_| format!("For input string: \"{number}\""))?;
        let found = Unit::ALL.iter().find(|(known, _, _)| *known == letter);
        let &(_, _, unit) = found.ok_or_else(|| format!("Invalid schedule period unit '{letter}"))?;
        Ok(Some(Self { count, unit }))
    }

    /// `5w`; one that is not positive is not written.
    pub(crate) fn code(self) -> String {
        let (letter, _) = self.unit.names();
        self.written(|count| format!("{count}{letter}"))
    }

    /// `5 week(s)`; one that is not positive is not written.
    pub(crate) fn words(self) -> String {
        let (_, word) = self.unit.names();
        self.written(|count| format!("{count} {word}(s)"))
    }

    fn written(self, write: impl Fn(i32) -> String) -> String {
        if self.count > 0 {
            write(self.count)
        } else {
            "null".to_owned()
        }
    }

    /// How long it is from this time on, in milliseconds.
    pub(crate) fn length_ms(self, from: &Zoned) -> i64 {
        let end = self.after(from);
        end.map_or(i64::MAX, |end| {
            end.timestamp().as_millisecond() - from.timestamp().as_millisecond()
        })
    }

    fn after(self, time: &Zoned) -> Option<Zoned> {
        let span = Span::new();
        let span = match self.unit {
            Unit::Year => span.try_years(self.count),
            Unit::Month => span.try_months(self.count),
            Unit::Week => span.try_weeks(self.count),
            Unit::Day => span.try_days(self.count),
            Unit::Hour => span.try_hours(self.count),
            Unit::Minute => span.try_minutes(self.count),
            Unit::Second => span.try_seconds(self.count),
        };
        time.checked_add(span.ok()?).ok()
    }

    /// The first time after now, step by step from the given one; `None` behind the end of all times.
    pub(crate) fn next_after(self, from: &Zoned, now: &Zoned) -> Result<Option<Zoned>, TooManySteps> {
        let mut time = from.clone();
        let mut steps = 0;
        while time <= *now {
            if steps > STEPS_MAX {
                return Err(TooManySteps);
            }
            let Some(next) = self.after(&time) else {
                return Ok(None);
            };
            time = next;
            steps += 1;
        }
        Ok(Some(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Period {
        Period::parse(text).unwrap().unwrap()
    }

    fn time(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_read_and_written() {
        for (text, words) in [
            ("1y", "1 year(s)"),
            ("2M", "2 month(s)"),
            ("3w", "3 week(s)"),
            ("4d", "4 day(s)"),
            ("5h", "5 hour(s)"),
            ("6m", "6 minute(s)"),
            ("7s", "7 second(s)"),
        ] {
            assert_eq!(
                (period(text).code().as_str(), period(text).words().as_str()),
                (text, words)
            );
        }
        assert_eq!(period("-1d").words(), "null");
        assert_eq!((Period::parse("null"), Period::parse("3n")), (Ok(None), Ok(None)));
    }

    #[test]
    fn what_is_no_period_is_told_in_javas_words() {
        for (text, error) in [
            ("", "String index out of range: -1"),
            ("w", "For input string: \"\""),
            ("x1d", "For input string: \"x1\""),
            ("5x", "Invalid schedule period unit 'x"),
        ] {
            assert_eq!(Period::parse(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn months_shorten_for_good() {
        let (from, now) = (time("2026-01-31T03:00[UTC]"), time("2026-03-01T00:00[UTC]"));
        let next = period("1M").next_after(&from, &now).unwrap().unwrap();
        assert_eq!(next, time("2026-03-28T03:00[UTC]"));
    }

    #[test]
    fn what_never_comes_to_the_present_is_given_up() {
        let (from, now) = (time("2026-01-31T03:00[UTC]"), time("2026-03-01T00:00[UTC]"));
        for text in ["0d", "-1d", "1s"] {
            assert_eq!(period(text).next_after(&from, &now), Err(TooManySteps));
        }
        assert_eq!(period("2000000000y").next_after(&from, &now), Ok(None));
        assert_eq!(period("0d").next_after(&now, &from), Ok(Some(now)));
    }
}
