//! Reads the bodies, plans, packs the zip; away from the async threads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use flowlift_azkaban::ProjectName;
use flowlift_azkaban::archive::{self, ZipLimits};
use flowlift_azkaban::client::DOWNLOAD_LIMIT;
use flowlift_common::envelope::DecodeError;
use flowlift_common::{Envelope, RunId, Seen};
use uuid::Uuid;

use super::Hands;
use crate::held::Held;
use crate::pack;
use crate::plan::Decision;
use crate::prepare::{Message, for_project, prepare};
use crate::project::{Event, PlanAsk, Planned};
use crate::work::{BaseInHand, Prepared, ms_since};

impl Hands {
    /// Plans the messages on the base in hand; nothing of a cancelled run is begun any more.
    pub async fn plan(&self, ask: PlanAsk, held: Vec<Arc<Held>>, cancelled: BTreeSet<RunId>) -> Event {
        let Some(base) = self.work().base.take() else {
            tracing::error!(project = %self.project, "no base in hand when planning: a bug");
            return Event::Planned(Planned::default());
        };
        let (seen, from_scratch) = {
            let work = self.work();
            (work.seen.clone(), work.from_scratch)
        };
        if let Some(oldest) = held.iter().map(|held| held.since).min() {
            self.metrics.batch_waited(oldest.elapsed());
            self.work().took.waited_ms = ms_since(oldest);
        }
        let begun = Instant::now();
        let project = self.project.clone();
        let before = Before {
            seen,
            cancelled,
            from_scratch,
        };
        let work = move || work_out(base, &ask, &held, &project, &before);
        let done = tokio::task::spawn_blocking(work).await;
        let (planned, prepared) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(project = %self.project, %error, "planning panicked: a bug");
                std::process::abort();
            }
        };
        self.metrics.archived(begun.elapsed());
        self.work().took.archive_ms = ms_since(begun);
        self.work().prepared = Some(prepared);
        Event::Planned(planned)
    }
}

/// A message in hand, and the project it has to be for.
struct InHand<'h> {
    held: &'h Held,
    project: &'h ProjectName,
}

impl Message for InHand<'_> {
    fn receipt(&self) -> u64 {
        self.held.receipt
    }

    fn open(&self) -> Result<Envelope, DecodeError> {
        for_project(self.held.open(), self.project)
    }

    fn missing(&self) -> Option<&str> {
        self.held.missing()
    }
}

/// What is known before a batch is planned, beside its base.
struct Before {
    seen: Seen,
    cancelled: BTreeSet<RunId>,
    from_scratch: bool,
}

fn work_out(
    base: BaseInHand,
    ask: &PlanAsk,
    held: &[Arc<Held>],
    project: &ProjectName,
    before: &Before,
) -> (Planned, Prepared) {
    let messages: Vec<InHand<'_>> = held.iter().map(|held| InHand { held, project }).collect();
    let (mut planned, mut plan) = prepare(
        &base.base,
        base.exists,
        ask,
        &messages,
        &before.seen,
        &before.cancelled,
    );
    let attempt = format!("flowlift-{}.zip", Uuid::now_v7().simple());
    let follows = base.base.active.as_ref().map_or(0, |active| active.version);
    let zip = if planned.upload {
        let tree = pack::contents(project, &base.base, &mut plan, &attempt);
        let files = tree.values().map(|content| content.len() as u64).sum();
        let zip: Bytes = if before.from_scratch {
            archive::write_zip(&tree).into()
        } else {
            pack::zip(&Arc::unwrap_or_clone(base.base).into_files(), &tree)
        };
        if let Some(text) = too_large(zip.len(), files) {
            planned.forbidden.get_or_insert(text);
        }
        zip
    } else {
        Bytes::new()
    };
    let carried = planned
        .decisions
        .iter()
        .filter(|(_, decision)| matches!(decision, Decision::Apply(_)))
        .count();
    let prepared = Prepared {
        held: held.to_vec(),
        attempt,
        generation: plan.manifest.generation,
        zip,
        expected: Arc::new(plan.expected),
        schedules: Arc::new(plan.schedules),
        highest: base.highest,
        follows,
        carried,
        seen: plan.seen,
        restored: plan.restored,
    };
    (planned, prepared)
}

/// Why a zip is not uploaded: Azkaban takes any, but one that we cannot read again would be the project's last.
fn too_large(zip: usize, files: u64) -> Option<String> {
    let most = ZipLimits::default().total;
    (zip > DOWNLOAD_LIMIT || files > most).then(|| {
        format!(
            "with this the project is too large: {} MiB as a zip and {} MiB unpacked, at most {} and {} MiB can be read back",
            zip >> 20,
            files >> 20,
            DOWNLOAD_LIMIT >> 20,
            most >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_back_is_not_uploaded() {
        assert_eq!(too_large(256 << 20, 512 << 20), None);
        let text = too_large((256 << 20) + 1, 300 << 20).unwrap();
        assert_eq!(
            text,
            "with this the project is too large: 256 MiB as a zip and 300 MiB unpacked, at most 256 and 512 MiB can be read back"
        );
        assert!(too_large(1, (512 << 20) + 1).is_some());
    }
}
