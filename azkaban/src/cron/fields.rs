//! The fields of a Quartz expression, read as Quartz 2.2.1 reads them.

use std::collections::BTreeSet;

/// Why Quartz refuses an expression; the text is a full clause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not 6 or 7 fields.
    #[error(
        "a cron expression has 6 or 7 fields (second minute hour day-of-month month day-of-week [year]), this has {0}"
    )]
    Count(usize),
    /// Both days, or neither, are `?`.
    #[error("exactly one of day-of-month and day-of-week must be '?'")]
    Question,
    /// A field that cannot be read.
    #[error("{field} {text:?} {rule}")]
    Field {
        /// The field's name, for example `minute`.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong: a clause that follows.
        rule: String,
    },
}

/// One field: its name, its bounds, its length when a range goes round.
struct Kind {
    name: &'static str,
    min: u16,
    max: u16,
    /// Names of its values, the first standing for `min`.
    names: &'static [&'static str],
}

const SECOND: Kind = Kind {
    name: "second",
    min: 0,
    max: 59,
    names: &[],
};
const MINUTE: Kind = Kind {
    name: "minute",
    min: 0,
    max: 59,
    names: &[],
};
const HOUR: Kind = Kind {
    name: "hour",
    min: 0,
    max: 23,
    names: &[],
};
const DAY: Kind = Kind {
    name: "day-of-month",
    min: 1,
    max: 31,
    names: &[],
};
const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const MONTH: Kind = Kind {
    name: "month",
    min: 1,
    max: 12,
    names: MONTHS,
};
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const WEEKDAY: Kind = Kind {
    name: "day-of-week",
    min: 1,
    max: 7,
    names: WEEKDAYS,
};
const YEAR: Kind = Kind {
    name: "year",
    min: 1970,
    max: 2199,
    names: &[],
};

/// On which days it fires.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Days {
    /// Days of the month, as croner writes them (`1,15`, `L`, `LW`, `15W`, `*`).
    OfMonth(String),
    /// `L-3`, `L-3W`.
    BeforeLast(BeforeLast),
    /// Days of the week, as croner writes them (`2,3`, `6L`, `6#3`, `*`); 1 is Sunday.
    OfWeek(String),
}

/// So many days before a month's last, or the weekday next to that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BeforeLast {
    /// Days before the last.
    pub(super) offset: i8,
    /// The weekday next to it.
    pub(super) weekday: bool,
}

/// An expression in good order, each field as a list.
#[derive(Debug)]
pub(super) struct Fields {
    second: String,
    minute: String,
    hour: String,
    pub days: Days,
    month: String,
    year: String,
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, CronError> {
        let text = text.to_uppercase();
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (year, [second, minute, hour, day, month, weekday]) = match fields.as_slice() {
            &[a, b, c, d, e, f] => ("*", [a, b, c, d, e, f]),
            &[a, b, c, d, e, f, year] => (year, [a, b, c, d, e, f]),
            other => return Err(CronError::Count(other.len())),
        };
        let days = match (day, weekday) {
            ("?", "?") => return Err(CronError::Question),
            (day, "?") => days_of_month(day)?,
            ("?", weekday) => Days::OfWeek(days_of_week(weekday)?),
            _ => return Err(CronError::Question),
        };
        Ok(Self {
            second: SECOND.list(second)?,
            minute: MINUTE.list(minute)?,
            hour: HOUR.list(hour)?,
            days,
            month: MONTH.list(month)?,
            year: YEAR.list(year)?,
        })
    }

    /// The expression for croner, with these two days.
    pub(super) fn to_text(&self, (day, weekday): (&str, &str)) -> String {
        let Self {
            second,
            minute,
            hour,
            month,
            year,
            ..
        } = self;
        format!("{second} {minute} {hour} {day} {month} {weekday} {year}")
    }
}

impl Days {
    pub(super) fn to_text(&self) -> (&str, &str) {
        match self {
            Self::OfMonth(days) => (days, "?"),
            Self::OfWeek(days) => ("?", days),
            Self::BeforeLast(_) => ("*", "?"),
        }
    }
}

fn days_of_month(text: &str) -> Result<Days, CronError> {
    if text == "L" || text == "LW" {
        return Ok(Days::OfMonth(text.to_owned()));
    }
    if let Some(rest) = text.strip_prefix("L-") {
        let digits = rest.strip_suffix('W').unwrap_or(rest);
        return match digits.parse() {
            Ok(offset @ 0..=30) => Ok(Days::BeforeLast(BeforeLast {
                offset,
                weekday: digits != rest,
            })),
            _ => Err(DAY.error(text, "must be L-0 to L-30")),
        };
    }
    if text.contains('L') {
        return Err(DAY.error(text, "must not combine L with other days"));
    }
    if let Some(day) = text.strip_suffix('W') {
        let day = DAY.number(text, day)?;
        return Ok(Days::OfMonth(format!("{day}W")));
    }
    DAY.list(text).map(Days::OfMonth)
}

fn days_of_week(text: &str) -> Result<String, CronError> {
    if text == "L" {
        return Ok("7".to_owned());
    }
    if let Some(day) = text.strip_suffix('L') {
        return Ok(format!("{}L", WEEKDAY.number(text, day)?));
    }
    if let Some((day, nth)) = text.split_once('#') {
        let day = WEEKDAY.number(text, day)?;
        return match nth {
            "1" | "2" | "3" | "4" | "5" => Ok(format!("{day}#{nth}")),
            _ => Err(WEEKDAY.error(text, "must have one number of 1 to 5 after '#'")),
        };
    }
    WEEKDAY.list(text)
}

impl Kind {
    fn error(&self, text: &str, rule: &str) -> CronError {
        CronError::Field {
            field: self.name,
            text: text.to_owned(),
            rule: rule.to_owned(),
        }
    }

    /// A number or a name, within the bounds.
    fn number(&self, field: &str, text: &str) -> Result<u16, CronError> {
        if let Some(at) = self.names.iter().position(|name| *name == text) {
            return Ok(self.min + u16::try_from(at).unwrap_or_default());
        }
        let (min, max) = (self.min, self.max);
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (min..=max).contains(&number) => Ok(number),
            _ if self.names.is_empty() => {
                Err(self.error(field, &format!("must be made of numbers from {min} to {max}")))
            }
            _ => {
                let (first, last) = (self.names[0], self.names[self.names.len() - 1]);
                Err(self.error(
                    field,
                    &format!("must be made of {min} to {max} or {first} to {last}"),
                ))
            }
        }
    }

    /// A list of values, ranges and steps, written out.
    fn list(&self, text: &str) -> Result<String, CronError> {
        let mut all = BTreeSet::new();
        for item in text.split(',') {
            if self.item(text, item, &mut all)? {
                return Ok("*".to_owned());
            }
        }
        let all: Vec<String> = all.iter().map(u16::to_string).collect();
        Ok(all.join(","))
    }

    /// Adds what one item stands for; true when that is everything.
    fn item(&self, field: &str, item: &str, all: &mut BTreeSet<u16>) -> Result<bool, CronError> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(self.step(field, step)?)),
            None => (item, None),
        };
        let (start, stop) = match (base, base.split_once('-'), step) {
            ("*", _, None) => return Ok(true),
            // Quartz takes `/5` for `*/5`
            ("*" | "", _, Some(_)) => (self.min, self.max),
            (_, Some((start, stop)), _) => self.range(field, start, stop)?,
            (_, None, Some(_)) => (self.number(field, base)?, self.max),
            (_, None, None) => {
                let value = self.number(field, base)?;
                (value, value)
            }
        };
        if step.is_some() && self.names.contains(&&base[..base.len().min(3)]) {
            return Err(self.error(field, "must not have a step behind a name, Quartz overlooks it"));
        }
        let step = step.unwrap_or(1);
        let mut stop = stop;
        if stop < start {
            if self.name == YEAR.name {
                return Err(self.error(field, "must not run backwards"));
            }
            stop += self.round();
        }
        for value in (start..=stop).step_by(usize::from(step)) {
            all.insert(if value > self.max {
                value - self.round()
            } else {
                value
            });
        }
        Ok(false)
    }

    fn range(&self, field: &str, start: &str, stop: &str) -> Result<(u16, u16), CronError> {
        let values = (self.number(field, start)?, self.number(field, stop)?);
        if self.names.contains(&start) != self.names.contains(&stop) {
            return Err(self.error(field, "must have two names or two numbers in a range"));
        }
        Ok(values)
    }

    /// How many values go round.
    fn round(&self) -> u16 {
        self.max - self.min + 1
    }

    fn step(&self, field: &str, text: &str) -> Result<u16, CronError> {
        let most = match self.name {
            "year" => u16::MAX,
            _ => self.max,
        };
        match text.parse() {
            Ok(step) if step >= 1 && step <= most && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(step)
            }
            _ => Err(self.error(field, "must have a whole number after '/', within the field")),
        }
    }
}
