//! Sends the zip, and says whether it can have landed when the answer is bad.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flowlift_azkaban::client::{BodyState, ClientError, InstallCause};
use flowlift_common::Envelope;
use flowlift_common::ledger::UploadFacts;

use super::Hands;
use crate::held::Held;
use crate::judge;
use crate::project::{Event, Trouble, UploadTrouble, Uploaded};
use crate::work::Prepared;

fn not(text: &str) -> UploadTrouble {
    UploadTrouble::Not(Trouble::Later(text.to_owned()))
}

/// An announced upload must begin within this time; a process that was frozen in between announces anew, so that the fence
/// a successor waits for is long enough.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

impl Hands {
    /// Uploads what is prepared.
    pub async fn upload(&self) -> Event {
        let (prepared, announced, limit) = {
            let work = self.work();
            (work.prepared.clone(), work.announced, work.upload_limit())
        };
        let (Some(prepared), Some(announced)) = (prepared, announced) else {
            return Event::Uploaded(Err(not("nothing is prepared")));
        };
        if announced.elapsed() > BEGIN_WITHIN {
            return Event::Uploaded(Err(not("it was announced too long ago")));
        }
        let highest = prepared.highest;
        let (begun, lease) = (Instant::now(), self.lease.clone());
        let body = BodyState::while_allowed(move || lease.is_fresh());
        let sent = self.client.upload_tracked(
            &self.project,
            &prepared.attempt,
            prepared.zip.clone(),
            limit,
            &body,
        );
        match sent.await {
            Ok(answer) => {
                let took = begun.elapsed();
                self.metrics
                    .upload_landed(took, prepared.zip.len() as u64, prepared.carried as u64);
                self.work().project = Some(answer.project_id);
                self.work().upload = Some(UploadFacts {
                    attempt: prepared.attempt.clone(),
                    version: answer.version,
                    zip_bytes: prepared.zip.len() as u64,
                    flows: prepared.expected.len() as u64,
                    upload_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                });
                Event::Uploaded(Ok(Uploaded::answered(took, answer.version, prepared.follows)))
            }
            Err(error) => Event::Uploaded(Err(self.judge(&error, highest, &prepared))),
        }
    }

    fn judge(&self, error: &ClientError, highest: u32, prepared: &Prepared) -> UploadTrouble {
        self.failed(error);
        if let ClientError::InstallFailed {
            cause: InstallCause::Unzip,
            ..
        } = error
        {
            self.metrics.upload_failed("failed");
            return UploadTrouble::Not(self.not_unzipped(error.to_string()));
        }
        let trouble = judge::upload(error, highest, |problems| {
            let open = |held: &Arc<Held>| Some((held.receipt, held.open().ok()?));
            let envelopes: Vec<(u64, Envelope)> = prepared.held.iter().filter_map(open).collect();
            judge::named(
                problems,
                envelopes.iter().map(|(receipt, envelope)| (*receipt, envelope)),
            )
        });
        self.metrics.upload_failed(match trouble {
            UploadTrouble::Refused(_) => "refused",
            UploadTrouble::InDoubt(_) | UploadTrouble::Stumbled(_) => "doubtful",
            UploadTrouble::Not(_) => "failed",
        });
        trouble
    }

    /// Azkaban cannot unpack our zip: a mistake in raw copies, or its disk is full. Tried once more with a zip made from scratch.
    fn not_unzipped(&self, text: String) -> Trouble {
        if std::mem::replace(&mut self.work().from_scratch, true) {
            Trouble::Own(text)
        } else {
            Trouble::Later(text)
        }
    }
}
