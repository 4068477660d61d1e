//! Cron expressions as Quartz 2.2.1 takes them, which is what Azkaban schedules with.
//!
//! [`fields`] follows Quartz's own reading, so what passes here passes there (Quartz is laxer in places: it ignores a
//! trailing `X` in `MONX`); the dates are then found by `croner`.

mod fields;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::{ToSpan, Zoned};

pub use fields::CronError;
use fields::{Days, Fields};

/// Whether Quartz takes this expression: 6 or 7 fields, exactly one `?` for the day that is not asked for.
pub fn check_cron(text: &str) -> Result<(), CronError> {
    Fields::parse(text).map(drop)
}

/// The first time after `after` at which the expression fires, in the time zone of `after`; `None` for an expression
/// that Quartz refuses, or that never fires again.
#[must_use]
pub fn next_after(text: &str, after: &Zoned) -> Option<Zoned> {
    let fields = Fields::parse(text).ok()?;
    let Days::BeforeLast { offset, weekday } = fields.days else {
        return croner(&fields.to_text(fields.days.to_text()))?
            .find_next_occurrence(after, false)
            .ok();
    };
    // croner has no `L-n`: its day is tried in each month
    let cron = croner(&fields.to_text(("*", "?")))?;
    let mut month = after.date().first_of_month();
    for _ in 0..12 * 8 {
        let mut day = month.last_of_month().checked_sub(i64::from(offset).days()).ok()?;
        if day.month() == month.month() {
            if weekday {
                day = nearest_weekday(day);
            }
            let start = day.to_zoned(after.time_zone().clone()).ok()?;
            let from = if start > *after { start } else { after.clone() };
            let inclusive = from != *after;
            let found = cron.find_next_occurrence(&from, inclusive).ok();
            if let Some(found) = found.filter(|found| found.date() == day) {
                return Some(found);
            }
        }
        month = month.checked_add(1.month()).ok()?;
    }
    None
}

/// The weekday next to a date, never leaving its month.
fn nearest_weekday(day: jiff::civil::Date) -> jiff::civil::Date {
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
