//! A queue of one's own, gone with the connection.

use lapin::Consumer;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use super::{AmqpError, Link};

/// Declares one, bound to a fanout where that is asked for, and reads it; its name, and what comes.
///
/// # Errors
/// [`AmqpError`].
pub async fn own_queue(link: &Link, fanout: Option<&str>) -> Result<(String, Consumer), AmqpError> {
    link.standing(declared(link, fanout)).await
}

async fn declared(link: &Link, fanout: Option<&str>) -> Result<(String, Consumer), AmqpError> {
    let channel = link.channel().await?;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..Default::default()
    };
    let declared = channel
        .queue_declare("".into(), options, FieldTable::default())
        .await?;
    let queue = declared.name().clone();
    if let Some(fanout) = fanout {
        let options = QueueBindOptions::default();
        channel
            .queue_bind(
                queue.clone(),
                fanout.into(),
                "".into(),
                options,
                FieldTable::default(),
            )
            .await?;
    }
    let options = BasicConsumeOptions {
        no_ack: true,
        ..Default::default()
    };
    let consumer = channel
        .basic_consume(queue.clone(), "".into(), options, FieldTable::default())
        .await?;
    Ok((queue.to_string(), consumer))
}
