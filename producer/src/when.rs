//! Points in time as people say them: the next seven o'clock, a date, so long ago. Pure: the clock is an argument.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Zoned};

/// A point in time that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The next such time of day.
    Next(Time),
    /// A local date and time.
    Local(DateTime),
    /// A time everywhere the same.
    At(Timestamp),
}

/// Reads `07:00`, `2026-11-27 07:00` or RFC 3339.
///
/// # Errors
/// What is expected, as a clause.
pub fn deadline(text: &str) -> Result<When, String> {
    let expected =
        || "expected a time such as 07:00, 2026-11-27 07:00 or 2026-11-27T07:00:00+01:00".to_owned();
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(When::At(at));
    }
    // a date alone is no time, and jiff would take it for midnight
    if !text.contains(':') {
        return Err(expected());
    }
    if let Ok(time) = text.parse::<Time>()
        && !text.contains(['-', '+', 'Z', 'z'])
    {
        return Ok(When::Next(time));
    }
    text.parse::<DateTime>().map(When::Local).map_err(|_| expected())
}

impl When {
    /// In ms since 1970. A time of day that is now is tomorrow's.
    ///
    /// # Errors
    /// A sentence, where it is past already or no time the calendar has.
    pub fn ms(self, now: &Zoned) -> Result<u64, String> {
        let zone = now.time_zone();
        let out_of_range = |_| "that time is out of range".to_owned();
        let at = match self {
            Self::At(at) => at,
            Self::Local(at) => zone.to_timestamp(at).map_err(out_of_range)?,
            Self::Next(time) => {
                let today = zone
                    .to_timestamp(now.date().to_datetime(time))
                    .map_err(out_of_range)?;
                if today > now.timestamp() {
                    today
                } else {
                    let tomorrow = now.date().tomorrow().map_err(out_of_range)?;
                    zone.to_timestamp(tomorrow.to_datetime(time))
                        .map_err(out_of_range)?
                }
            }
        };
        if at <= now.timestamp() {
            return Err(format!("{} is past already", minute(at, zone)));
        }
        u64::try_from(at.as_millisecond()).map_err(|_| "that time is out of range".into())
    }
}

/// Reads since when: so long ago (`2h`, `7d`), or a date, or a date and time.
///
/// # Errors
/// What is expected, as a clause.
pub fn since(text: &str, now: &Zoned) -> Result<u64, String> {
    let expected = || "expected so long ago such as 2h or 7d, or a day such as 2026-11-26".to_owned();
    let text = text.trim();
    let zone = now.time_zone();
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Ok(span) = text.parse::<Span>() {
        let time = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| expected())?;
        if time.is_negative() {
            return Err(expected());
        }
        now.timestamp().checked_sub(time).map_err(|_| expected())?
    } else if let Ok(day) = text.parse::<Date>()
        && !text.contains(':')
    {
        zone.to_timestamp(day.to_datetime(Time::midnight()))
            .map_err(|_| expected())?
    } else {
        let local = text.parse::<DateTime>().map_err(|_| expected())?;
        zone.to_timestamp(local).map_err(|_| expected())?
    };
    Ok(u64::try_from(at.as_millisecond()).unwrap_or_default())
}

/// `2026-11-27 07:00`.
#[must_use]
pub fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-11-27 07:00` of ms since 1970; a dash where the clock that wrote it was beyond all calendars.
#[must_use]
pub fn minute_ms(ms: u64, zone: &TimeZone) -> String {
    stamp(ms).map_or_else(|| "-".into(), |at| minute(at, zone))
}

/// `2026-11-27 07:00:05`.
#[must_use]
pub fn second_ms(ms: u64, zone: &TimeZone) -> String {
    stamp(ms).map_or_else(
        || "-".into(),
        |at| {
            at.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

/// A time for programs.
#[must_use]
pub fn stamp(ms: u64) -> Option<Timestamp> {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

/// How a run's end compares with its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Settled so many ms before it.
    By(u64),
    /// Settled so many ms after it.
    MissedBy(u64),
    /// Not settled, and there is time left.
    Open(u64),
    /// Not settled, and late by so much.
    Late(u64),
}

impl Kept {
    /// Of a deadline, the time of settling where all is settled, and now.
    #[must_use]
    pub fn of(deadline_ms: u64, settled_ms: Option<u64>, now_ms: u64) -> Self {
        match settled_ms {
            Some(at) if at <= deadline_ms => Self::By(deadline_ms - at),
            Some(at) => Self::MissedBy(at - deadline_ms),
            None if now_ms <= deadline_ms => Self::Open(deadline_ms - now_ms),
            None => Self::Late(now_ms - deadline_ms),
        }
    }

    /// `kept, 12 min 3 s to spare`.
    #[must_use]
    pub fn words(self) -> String {
        let span = |ms| crate::words::span(std::time::Duration::from_millis(ms));
        match self {
            Self::By(ms) => format!("kept, {} to spare", span(ms)),
            Self::MissedBy(ms) => format!("missed by {}", span(ms)),
            Self::Open(ms) => format!("{} left", span(ms)),
            Self::Late(ms) => format!("over for {}", span(ms)),
        }
    }

    /// For programs: kept, missed, or not decided yet.
    #[must_use]
    pub fn decided(self) -> Option<bool> {
        match self {
            Self::By(_) => Some(true),
            Self::MissedBy(_) | Self::Late(_) => Some(false),
            Self::Open(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-11-26T18:30:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn read(text: &str) -> Result<String, String> {
        let ms = deadline(text)?.ms(&now())?;
        Ok(minute_ms(ms, &TimeZone::get("Europe/Berlin").unwrap()))
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        assert_eq!(read("07:00").unwrap(), "2026-11-27 07:00");
        assert_eq!(read("18:31").unwrap(), "2026-11-26 18:31");
        assert_eq!(read("18:30").unwrap(), "2026-11-27 18:30");
        assert_eq!(read("07:00:30").unwrap(), "2026-11-27 07:00");
    }

    #[test]
    fn a_full_time_is_local_or_carries_its_zone() {
        assert_eq!(read("2026-11-27 07:00").unwrap(), "2026-11-27 07:00");
        assert_eq!(read("2026-11-27T07:00").unwrap(), "2026-11-27 07:00");
        assert_eq!(read("2026-11-27T07:00:00Z").unwrap(), "2026-11-27 08:00");
        assert_eq!(read("2026-11-27T07:00:00+03:00").unwrap(), "2026-11-27 05:00");
    }

    #[test]
    fn what_is_past_or_no_time_is_told() {
        assert_eq!(
            read("2026-11-26 18:00").unwrap_err(),
            "2026-11-26 18:00 is past already"
        );
        for bad in ["", "7", "seven", "25:00", "2026-11-27", "2026-13-01 07:00"] {
            assert!(
                read(bad).unwrap_err().starts_with("expected a time such as"),
                "{bad}"
            );
        }
    }

    #[test]
    fn since_is_so_long_ago_or_a_day() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text: &str| since(text, &now()).map(|ms| minute_ms(ms, &zone));
        assert_eq!(read("2h").unwrap(), "2026-11-26 16:30");
        assert_eq!(read("7d").unwrap(), "2026-11-19 18:30");
        assert_eq!(read("2026-11-20").unwrap(), "2026-11-20 00:00");
        assert_eq!(read("2026-11-20 12:00").unwrap(), "2026-11-20 12:00");
        for bad in ["", "yesterday", "-2h", "7"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_deadline_is_kept_missed_or_open() {
        let words = |settled, now| Kept::of(100_000, settled, now).words();
        assert_eq!(words(Some(40_000), 0), "kept, 1 min 0 s to spare");
        assert_eq!(words(Some(112_000), 0), "missed by 12 s");
        assert_eq!(words(None, 70_000), "30 s left");
        assert_eq!(words(None, 130_000), "over for 30 s");
        assert_eq!(Kept::of(5, None, 1).decided(), None);
    }
}
