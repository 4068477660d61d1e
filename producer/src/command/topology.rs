//! `flowlift topology show`.

use flowlift_common::amqp::{AmqpError, Depth, Link, declare, depth};
use flowlift_common::topology::{DEAD, parked_queue, shard_queue};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::Context;
use crate::exit::Failure;
use crate::publish::{remade, set_up};
use crate::table::table;
use crate::words::thousands;

/// Queues asked at the same time.
const AT_ONCE: usize = 32;

/// Shows the record and the depth of the queues.
pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let link = Link::connect(settings.amqp_url(), "flowlift topology").await?;
    let record = set_up(&link, settings, &context.reporter).await?;
    let (shards, parked, dead) = match depths(&link, record.shards).await {
        Err(AmqpError::Missing { queue, .. }) => {
            context.reporter.warn(&remade(&queue));
            declare(&link, record.shards, &settings.retention).await?;
            depths(&link, record.shards).await?
        }
        depths => depths?,
    };
    let waiting = |depths: &[Depth]| depths.iter().map(|depth| u64::from(depth.waiting)).sum::<u64>();
    let held = shards.iter().filter(|depth| depth.consumers > 0).count();
    let json = || {
        json!({"broker": link.broker(), "shards": record.shards, "wire": record.wire, "prefetch": record.prefetch,
            "azkaban": record.azkaban, "permits": record.permits, "waiting": waiting(&shards), "parked": waiting(&parked),
            "dead": dead.waiting, "shards_held": held})
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
            ("messages waiting", thousands(waiting(&shards))),
            ("messages parked", thousands(waiting(&parked))),
            ("dead letters", thousands(u64::from(dead.waiting))),
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

/// Of the shards, of their parked queues, of the dead letters.
async fn depths(link: &Link, shards: u16) -> Result<(Vec<Depth>, Vec<Depth>, Depth), AmqpError> {
    let of = |name: fn(u16) -> String| {
        let depths = stream::iter(0..shards).map(move |shard| async move { depth(link, &name(shard)).await });
        depths.buffer_unordered(AT_ONCE).try_collect::<Vec<Depth>>()
    };
    Ok((
        of(shard_queue).await?,
        of(parked_queue).await?,
        depth(link, DEAD).await?,
    ))
}
