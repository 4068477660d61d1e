//! Reads a header as text, in whichever of AMQP's two ways a client wrote it.

use lapin::types::{AMQPValue, FieldTable};

/// The text of a header; `None` where there is none, or it is something else. Bytes that are not UTF-8 are replaced.
#[must_use]
pub fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
