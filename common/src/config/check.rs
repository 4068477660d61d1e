//! Values that cannot be used are told with where they came from.

use super::{Origin, SettingsError, address};
use crate::amqp::address::Address;

/// RabbitMQ's address.
pub(super) fn amqp_url(url: &str, origin: &Origin) -> Result<(), SettingsError> {
    match Address::parse(url) {
        Ok(_) => Ok(()),
        Err(reason) => Err(SettingsError::Value {
            name: "amqp_url",
            origin: origin.to_string(),
            value: address::without_secret(url),
            expected: "amqp://user:password@host:port/vhost, of a cluster with host:port,host:port",
            reason,
        }),
    }
}

/// Azkaban's address, in its one spelling.
pub(super) fn azkaban_url(url: &str, origin: &Origin) -> Result<String, SettingsError> {
    address::normalise(url).map_err(|reason| SettingsError::Value {
        name: "azkaban_url",
        origin: origin.to_string(),
        value: address::without_secret(url),
        expected: "http(s)://host:port[/path]",
        reason,
    })
}

/// The collector's address; `built`: whether this program can send traces.
pub(super) fn traces(url: &str, origin: &Origin, built: bool) -> Result<String, SettingsError> {
    let url = address::normalise(url).map_err(|reason| SettingsError::Value {
        name: "traces",
        origin: origin.to_string(),
        value: address::without_secret(url),
        expected: "http(s)://host:port of an OpenTelemetry collector (credentials go into OTEL_EXPORTER_OTLP_HEADERS)",
        reason,
    })?;
    if built {
        Ok(url)
    } else {
        Err(SettingsError::TracesNotBuilt {
            origin: origin.to_string(),
        })
    }
}

/// K.
pub(super) fn shards(shards: u16, origin: &Origin) -> Result<(), SettingsError> {
    if (1..=1024).contains(&shards) {
        return Ok(());
    }
    Err(SettingsError::Value {
        name: "shards",
        origin: origin.to_string(),
        value: shards.to_string(),
        expected: "a number from 1 to 1024",
        reason: "it is out of range".into(),
    })
}

/// An age as RabbitMQ writes it: a number and one of Y, M, D, h, m, s.
pub(super) fn age(text: &str, origin: &Origin) -> Result<String, SettingsError> {
    let text = text.trim();
    let number = text
        .strip_suffix(['Y', 'M', 'D', 'h', 'm', 's'])
        .unwrap_or_default();
    match number.parse::<u32>() {
        Ok(1..) => Ok(text.to_owned()),
        _ => Err(SettingsError::Value {
            name: "outcomes_age",
            origin: origin.to_string(),
            value: text.to_owned(),
            expected: "a number above 0 with Y, M (months), D, h, m (minutes) or s, like 30D",
            reason: "it is no such age".into(),
        }),
    }
}

/// What one segment of a stream takes: less than one cannot be kept.
const LEAST_BYTES: i64 = 50_000_000;

const UNITS: [(&str, i64); 4] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// A size as people write it: `10GB`.
pub(super) fn size(bytes: i64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| bytes % unit == 0);
    unit.map_or_else(
        || bytes.to_string(),
        |(name, unit)| format!("{}{name}", bytes / unit),
    )
}

/// A size: a number of bytes, or one with kB, MB, GB or TB.
pub(super) fn bytes(text: &str, origin: &Origin) -> Result<i64, SettingsError> {
    let text = text.trim();
    let unit = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let bytes = number
        .trim()
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    let wrong = |reason: &str| SettingsError::Value {
        name: "outcomes_bytes",
        origin: origin.to_string(),
        value: text.to_owned(),
        expected: "a size like 500MB or 10GB, from 50MB",
        reason: reason.to_owned(),
    };
    match bytes {
        Some(LEAST_BYTES..) => Ok(bytes.unwrap_or_default()),
        Some(_) => Err(wrong("RabbitMQ keeps whole segments of 50 MB")),
        None => Err(wrong("it is no such size")),
    }
}
