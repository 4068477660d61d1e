//! Values that cannot be used are told with where they came from.

use lapin::uri::AMQPUri;

use super::{Origin, SettingsError, address};

/// RabbitMQ's address.
pub(super) fn amqp_url(url: &str, origin: &Origin) -> Result<(), SettingsError> {
    match url.parse::<AMQPUri>() {
        Ok(_) => Ok(()),
        Err(reason) => Err(SettingsError::Value {
            name: "amqp_url",
            origin: origin.to_string(),
            value: address::without_secret(url),
            expected: "amqp://user:password@host:port/vhost",
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
