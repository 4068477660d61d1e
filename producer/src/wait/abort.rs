//! Ends a run whose threshold cannot hold any more.

use flowlift_common::amqp::{AmqpError, Link, cancel_run};
use flowlift_common::config::Settings;
use flowlift_common::order::RunId;

use crate::publish::{now_ms, who};
use crate::reporter::Reporter;

/// Cancels it: what has not begun is settled as cancelled, without anybody waiting for that here.
pub async fn cancel(settings: &Settings, run: RunId, reporter: &Reporter) {
    match cancelled(settings, run).await {
        Ok(()) => reporter.warn(&format!(
            "a threshold cannot hold any more: the run is cancelled, `flowlift wait {run}` tells what becomes of the rest"
        )),
        Err(error) => reporter.warn(&format!(
            "a threshold cannot hold any more, and the run could not be cancelled ({error}): `flowlift cancel {run}` tries again"
        )),
    }
}

async fn cancelled(settings: &Settings, run: RunId) -> Result<(), AmqpError> {
    let link = Link::connect(settings.amqp_url(), "flowlift wait").await?;
    let cancelled = cancel_run(&link, run, &who(), now_ms()).await;
    link.close().await;
    cancelled
}
