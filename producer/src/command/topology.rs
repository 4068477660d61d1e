//! `flowlift topology show`.

use flowlift_common::amqp::{AmqpError, Link, declare};
use serde_json::json;

use super::Context;
use crate::exit::Failure;
use crate::publish::{remade, set_up};
use crate::status::gather::depths;
use crate::table::table;
use crate::words::thousands;

/// Shows the record and the depth of the queues.
pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let link = Link::connect(settings.amqp_url(), "flowlift topology").await?;
    let record = set_up(&link, settings, &context.reporter).await?;
    let depths = match depths(&link, record.shards).await {
        Err(AmqpError::Missing { queue, .. }) => {
            context.reporter.warn(&remade(&queue));
            declare(&link, record.shards, &settings.retention).await?;
            depths(&link, record.shards).await?
        }
        depths => depths?,
    };
    let held = depths.shards.iter().filter(|depth| depth.consumed).count();
    let (waiting, parked) = (depths.waiting(), depths.parked());
    let json = || {
        json!({"broker": link.broker(), "shards": record.shards, "wire": record.wire, "prefetch": record.prefetch,
            "azkaban": record.azkaban, "permits": record.permits, "waiting": waiting, "parked": parked,
            "dead": depths.dead, "shards_held": held})
    };
    let people = || {
        let text = |value: Option<String>| value.unwrap_or_else(|| "not said yet".into());
        let rows = [
            ("broker", link.broker().to_owned()),
            ("shards", record.shards.to_string()),
            ("wire version", record.wire.to_string()),
            ("prefetch", record.prefetch.to_string()),
            ("Azkaban", text(record.azkaban.clone())),
            ("permits", text(record.permits.map(|permits| permits.to_string()))),
            ("shards with a consumer", held.to_string()),
            ("messages waiting", thousands(waiting)),
            ("messages parked", thousands(parked)),
            ("dead letters", thousands(depths.dead)),
        ];
        table(
            &["what", "value"],
            rows.map(|(name, value)| vec![name.to_owned(), value]),
        )
    };
    let printed = context.print(json, people);
    link.close().await;
    printed
}
