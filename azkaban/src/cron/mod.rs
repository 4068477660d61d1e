//! Cron expressions as Quartz 2.2.1 takes them, which is what Azkaban schedules with.
//!
//! The fields are read as Quartz reads them, so what passes here passes there (Quartz is laxer in places: it ignores a
//! trailing `X` in `MONX`); the dates are then found by `croner`.

mod fields;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::Date;
use jiff::{ToSpan, Zoned};

pub use fields::CronError;
use fields::{BeforeLast, Days, Fields};

/// How far Quartz looks.
const YEARS_MAX: i16 = 100;
/// How far a day that is worked out is looked for: people give up after a few years.
const MONTHS_AHEAD: usize = 12 * 40;

/// Whether Quartz takes this expression: 6 or 7 fields, exactly one `?` for the day that is not asked for.
pub fn check_cron(text: &str) -> Result<(), CronError> {
    Fields::parse(text).map(drop)
}

/// The first time after `after` at which the expression fires, in the time zone of `after`; `None` for an expression
/// that Quartz refuses, or that never fires again.
#[must_use]
pub fn next_after(text: &str, after: &Zoned) -> Option<Zoned> {
    let fields = Fields::parse(text).ok()?;
    let Days::BeforeLast(day) = &fields.days else {
        let found = croner(&fields.to_text(fields.days.to_text()))?.find_next_occurrence(after, false);
        return found.ok().filter(|next| next.year() <= after.year() + YEARS_MAX);
    };
    // croner has no `L-3`: the day is worked out month by month
    let cron = croner(&fields.to_text(("*", "?")))?;
    let mut month = after.date().first_of_month();
    for _ in 0..MONTHS_AHEAD {
        if let Some(day) = day.in_month(month) {
            let start = day.to_zoned(after.time_zone().clone()).ok()?;
            let inclusive = start > *after;
            let from = if inclusive { start } else { after.clone() };
            let found = cron.find_next_occurrence(&from, inclusive).ok()?;
            if found.date() == day {
                return Some(found);
            }
        }
        month = month.checked_add(1.month()).ok()?;
    }
    None
}

impl BeforeLast {
    /// Its date in a month; none when the month is too short.
    fn in_month(&self, month: Date) -> Option<Date> {
        let date = month
            .with()
            .day(month.days_in_month() - self.offset)
            .build()
            .ok()?;
        Some(if self.weekday { nearest_weekday(date) } else { date })
    }
}

/// The weekday next to a date, never leaving its month.
fn nearest_weekday(day: Date) -> Date {
    use jiff::civil::Weekday::{Saturday, Sunday};
    let shift = match day.weekday() {
        Saturday if day.day() == 1 => 2,
        Saturday => -1,
        Sunday if day.day() == day.days_in_month() => -2,
        Sunday => 1,
        _ => 0,
    };
    day.saturating_add(i64::from(shift).days())
}

fn croner(text: &str) -> Option<Cron> {
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .build();
    parser.parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next firings in Berlin after 2026-03-20 12:00, joined.
    fn firings(text: &str, count: usize) -> String {
        let mut at: Zoned = "2026-03-20T12:00:00[Europe/Berlin]".parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            at = next_after(text, &at).unwrap();
            found.push(at.strftime("%m-%d %H:%M").to_string());
        }
        found.join(", ")
    }

    /// Each line as Quartz 2.2.1 gave it.
    #[test]
    fn firings_are_those_of_quartz() {
        for (text, expected) in [
            ("0 0 3 ? * *", "03-21 03:00, 03-22 03:00, 03-23 03:00"),
            ("0 30 22-2/2 ? * FRI-MON", "03-20 22:30, 03-21 00:30, 03-21 02:30"),
            ("0 0 0 L * ?", "03-31 00:00, 04-30 00:00, 05-31 00:00"),
            ("0 0 0 LW * ?", "03-31 00:00, 04-30 00:00, 05-29 00:00"),
            ("0 0 0 L-2 * ?", "03-29 00:00, 04-28 00:00, 05-29 00:00"),
            ("0 0 0 L-5W * ?", "03-26 00:00, 04-24 00:00, 05-26 00:00"),
            ("0 0 0 15W * ?", "04-15 00:00, 05-15 00:00, 06-15 00:00"),
            ("0 0 12 ? * L", "03-21 12:00, 03-28 12:00, 04-04 12:00"),
            ("0 0 12 ? * 6L", "03-27 12:00, 04-24 12:00, 05-29 12:00"),
            ("0 0 12 ? * MON#1", "04-06 12:00, 05-04 12:00, 06-01 12:00"),
            (
                "0 10,44 14 ? 3 wed 2027-2028",
                "03-03 14:10, 03-03 14:44, 03-10 14:10",
            ),
        ] {
            assert_eq!(firings(text, 3), expected, "{text}");
        }
    }

    #[test]
    fn an_expression_whose_time_is_over_never_fires() {
        let now: Zoned = "2026-03-20T12:00:00[UTC]".parse().unwrap();
        assert_eq!(next_after("0 0 0 1 1 ? 2025", &now), None);
        assert_eq!(next_after("0 0 0 L-30 2 ?", &now), None);
        assert_eq!(next_after("rubbish", &now), None);
    }

    #[test]
    fn what_quartz_refuses_is_refused() {
        for text in [
            "",
            "* * * * *",
            "0 0 3 * * *",
            "0 0 3 ? * ?",
            "0 0 3 1 * MON",
            "@daily",
            "60 * * * * ?",
            "0 0 24 * * ?",
            "0 0 0 32 * ?",
            "0 0 0 L-31 * ?",
            "0 0 0 ? 13 *",
            "0 0 0 ? * 8",
            "0 0 0 ? * MON#6",
            "0 0 0 ? * 2#1,3#1",
            "0 0 0 ? * 5-TUE",
            "0 0/70 * * * ?",
            "0 x * * * ?",
            "0 -5 * * * ?",
            "0 0 0 1 1 ? 2030-2026",
        ] {
            assert!(check_cron(text).is_err(), "{text}");
        }
    }

    #[test]
    fn years_that_quartz_does_not_reach_never_come() {
        let now: Zoned = "2026-03-20T12:00:00[UTC]".parse().unwrap();
        assert!(next_after("0 0 3 1 1 ? 2126", &now).is_some());
        assert_eq!(next_after("0 0 3 1 1 ? 2127", &now), None);
    }

    #[test]
    fn refusals_are_sentences() {
        let text = |cron: &str| check_cron(cron).unwrap_err().to_string();
        assert_eq!(
            text("0 0 3 * * *"),
            "exactly one of day-of-month and day-of-week must be '?'"
        );
        assert_eq!(
            text("0 61 * * * ?"),
            "minute \"61\" must be made of numbers from 0 to 59"
        );
        assert_eq!(
            text("0 0 0 ? * XYZ"),
            "day-of-week \"XYZ\" must be made of 1 to 7 or SUN to SAT"
        );
        assert_eq!(
            text("* * * * *"),
            "a cron expression has 6 or 7 fields (second minute hour day-of-month month day-of-week [year]), this \
             has 5"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_or_refused_without_panic(text: String) {
            let _ = check_cron(&text);
        }

        #[test]
        fn what_is_taken_is_understood_by_the_date_finder(
            minute in "[0-9*/,-]{1,6}", day in "[0-9LW*/,-]{1,5}", month in "[0-9A-C/,-]{1,5}",
        ) {
            let text = format!("0 {minute} * {day} {month} ?");
            if let Ok(fields) = Fields::parse(&text) {
                proptest::prop_assert!(croner(&fields.to_text(fields.days.to_text())).is_some(), "{}", text);
            }
        }
    }
}
