//! Carries a project's actions out: each is one answer-giving call, from which an event is made. Nothing is decided here.

mod base;
mod plan;
mod schedule;
mod upload;

pub use base::DESKS;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::{Client, ClientError, ErrorClass};

use tokio::sync::Semaphore;

use crate::judge;
use crate::lease::Lease;
use crate::metrics::Metrics;
use crate::project::Trouble;
use crate::work::Work;

/// One project's hands; cheap to clone into a task.
#[derive(Clone)]
pub struct Hands {
    /// The project.
    pub project: ProjectName,
    /// Who works here.
    pub consumer: Arc<str>,
    /// Azkaban.
    pub client: Client,
    /// Whether the broker was heard of late: without that, nothing may be begun or sent.
    pub lease: Lease,
    /// What is kept between actions.
    pub work: Arc<Mutex<Work>>,
    /// Where timings and errors are counted.
    pub metrics: Arc<Metrics>,
    /// [`DESKS`], shared by the projects that are unpacked at the same time: that is most of the memory needed.
    pub desks: Arc<Semaphore>,
}

impl Hands {
    /// The project's things. No lock is held across an await.
    pub fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything may be changed in Azkaban: not when the broker was not heard of late.
    fn may_write(&self) -> Result<(), Trouble> {
        if self.lease.is_fresh() {
            return Ok(());
        }
        let text = "RabbitMQ was not heard for half a heartbeat: another consumer may hold the shard";
        Err(Trouble::Later(text.to_owned()))
    }

    /// Counts an error and says what it means for the road.
    fn trouble(&self, error: &ClientError) -> Trouble {
        self.failed(error);
        judge::trouble(error)
    }

    /// Counts an error, for everybody and for the record of the project's next settlement.
    fn failed(&self, error: &ClientError) {
        let (class, code) = (error.class().as_str(), error.code());
        self.metrics.azkaban_error(class, code);
        self.work().failed(class, code);
    }

    /// Whether an error says that asking again would get the same answer.
    fn is_final(error: &ClientError) -> bool {
        matches!(error.class(), ErrorClass::Permanent | ErrorClass::Content)
    }
}

/// Names at most so many flows of a difference.
const NAMED: usize = 5;

/// `3 missing (a, b, c)`, with the first few named.
fn named(what: &str, flows: &[&String]) -> String {
    let few: Vec<&str> = flows.iter().take(NAMED).map(|flow| flow.as_str()).collect();
    let more = if flows.len() > NAMED { ", ..." } else { "" };
    format!("{} {what} ({}{more})", flows.len(), few.join(", "))
}
