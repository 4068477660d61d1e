//! Logs of flows and jobs, as log4j writes them on a real server.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes of one log that are kept.
const LOG_MAX: usize = 4 << 20;
/// The last line of a log that would be longer.
const FULL: &str = "(this stand-in keeps 4 MiB of a log)\n";

/// One log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    text: String,
    full: bool,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// `25-11-2026 01:50:55 UTC f INFO - text`.
pub(crate) fn line(zone: &TimeZone, name: &str, level: Level, text: &str) -> String {
    let now = Timestamp::now().to_zoned(zone.clone());
    format!(
        "{} {name} {} - {text}\n",
        now.strftime("%d-%m-%Y %H:%M:%S %Z"),
        level.name()
    )
}

impl Log {
    /// A log that was kept.
    pub(crate) fn of(text: String) -> Self {
        Self { text, full: true }
    }

    pub(crate) fn push(&mut self, line: &str) {
        if self.full {
            return;
        }
        if self.text.len() + line.len() > LOG_MAX {
            self.full = true;
            self.text.push_str(FULL);
            return;
        }
        self.text.push_str(line);
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A piece, counted in bytes; characters cut at its ends are left out. `None` behind the end.
    pub(crate) fn piece(&self, offset: i64, length: i64) -> Option<(i64, &str)> {
        let place = |at: i64| usize::try_from(at).unwrap_or(0).min(self.text.len());
        let (mut start, mut end) = (place(offset), place(offset.saturating_add(length)));
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let moved = i64::try_from(start - place(offset)).unwrap_or(0);
        (start < end).then(|| (offset + moved, &self.text[start..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_looks_like_log4js() {
        let line = line(&TimeZone::UTC, "f", Level::Info, "x");
        assert_eq!(line.len(), "25-11-2026 01:50:55 UTC f INFO - x\n".len());
        assert!(line.ends_with(" UTC f INFO - x\n"), "{line}");
    }

    #[test]
    fn pieces_never_split_a_character() {
        let mut log = Log::default();
        log.push("aä𝄞b");
        assert_eq!(log.piece(0, 100), Some((0, "aä𝄞b")));
        assert_eq!(log.piece(2, 5), Some((3, "𝄞")));
        assert_eq!(log.piece(0, 2), Some((0, "a")));
        assert_eq!(log.piece(-5, 6), Some((-5, "a")));
        assert_eq!(
            (log.piece(8, 1), log.piece(0, 0), log.piece(4, 2)),
            (None, None, None)
        );
        assert_eq!((log.piece(3, -1), log.piece(i64::MAX, i64::MAX)), (None, None));
    }

    #[test]
    fn a_long_log_ends_with_a_sentence() {
        let mut log = Log::default();
        for _ in 0..5 {
            log.push(&"x".repeat(1 << 20));
        }
        assert_eq!(log.text().len(), (4 << 20) + FULL.len());
    }
}
