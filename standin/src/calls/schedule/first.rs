//! When a schedule that is no cron expression is due first, as `scheduleFlow` is told (pure).

use jiff::Zoned;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// The time in `12,00,pm,PDT` on `07/22/2014`, in the server's zone unless UTC is asked for; without a date today.
pub(super) fn first_time(date: &str, time: &str, now: &Zoned) -> Option<Zoned> {
    let mut parts = time.split(',');
    let hour: i32 = parts.next()?.parse().ok()?;
    let minute: i8 = parts.next()?.parse().ok()?;
    let afternoon = parts.next()?.eq_ignore_ascii_case("pm");
    let zone = match parts.next()? {
        "UTC" => TimeZone::UTC,
        _ => now.time_zone().clone(),
    };
    let hour = hour % 12 + if afternoon { 12 } else { 0 };
    // A given date begins with its first millisecond; today's is whatever it is.
    let (date, zone, nanos) = if date.trim().is_empty() {
        (now.date(), now.time_zone().clone(), now.subsec_nanosecond())
    } else {
        (parse_date(date)?, zone, 0)
    };
    let time = Time::new(i8::try_from(hour).ok()?, minute, 0, nanos / 1_000_000 * 1_000_000).ok()?;
    let local = zone.into_ambiguous_zoned(date.to_datetime(time));
    // A time that clocks leave out is refused; of one that they show twice the first counts.
    if matches!(local.offset(), jiff::tz::AmbiguousOffset::Gap { .. }) {
        return None;
    }
    local.earlier().ok()
}

/// `MM/dd/yyyy` as Joda reads it: fewer digits will do, and years may be long or have a sign.
fn parse_date(text: &str) -> Option<Date> {
    let (month, rest) = text.split_once('/')?;
    let (day, year) = rest.split_once('/')?;
    let digits = |text: &str, most| {
        let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<i32>().ok())?
    };
    let month = digits(month, 2)?;
    let day = digits(day, 2)?;
    let year = match year.strip_prefix('-') {
        Some(year) => -digits(year, 9)?,
        None => digits(year.strip_prefix('+').unwrap_or(year), 9)?,
    };
    Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Zoned {
        "2026-03-29T10:20:30.456+02:00[Europe/Berlin]".parse().unwrap()
    }

    fn first(date: &str, time: &str) -> Option<String> {
        first_time(date, time, &now()).map(|time| time.to_string())
    }

    #[test]
    fn hours_are_counted_from_twelve_to_eleven_twice() {
        for (time, expected) in [
            ("12,00,am,PDT", "00:00:00"),
            ("12,30,pm,PDT", "12:30:00"),
            ("1,5,PM,x", "13:05:00"),
            ("23,59,am,x,more", "11:59:00"),
            ("-1,0,pm,x", "11:00:00"),
        ] {
            let expected = format!("2026-07-02T{expected}+02:00[Europe/Berlin]");
            assert_eq!(first("7/2/2026", time), Some(expected), "{time}");
        }
        assert_eq!(
            first("07/02/2026", "12,00,pm,UTC").unwrap(),
            "2026-07-02T12:00:00+00:00[UTC]"
        );
        assert_eq!(
            first(" ", "12,00,pm,UTC").unwrap(),
            "2026-03-29T12:00:00.456+02:00[Europe/Berlin]"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (date, time) in [
            ("07/22/2014", "12,00,pm"),
            ("07/22/2014", "x,00,pm,PDT"),
            ("07/22/2014", "12,60,pm,PDT"),
            ("07/22/2014", "-1,0,am,PDT"),
            ("22/07/2014", "12,00,pm,PDT"),
            ("2014-07-22", "12,00,pm,PDT"),
            ("02/30/2026", "12,00,pm,PDT"),
            ("07/22/2014 ", "12,00,pm,PDT"),
            ("03/29/2026", "2,30,am,PDT"),
        ] {
            assert_eq!(first(date, time), None, "{date} {time}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_none(date in "[0-9/+-]{0,14}", time in "[0-9,amp+-]{0,12}") {
            let _ = first(&date, &time);
        }
    }
}
