//! Faults and latency that can be changed while the server runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::options::Options;

/// What goes wrong, and how slow all is. Counters say how many of the next uploads it hits, and count down.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Milliseconds an upload takes per flow of the whole zip, Flow 1.0.
    pub ms_per_flow: f64,
    /// The same for Flow 2.0.
    pub ms_per_flow_v2: f64,
    /// Milliseconds added to every request.
    pub ms_per_request: f64,
    /// Uploads whose storing breaks off with `Error inserting flow X`.
    pub fail_persist: u32,
    /// How many flows are stored before it breaks off.
    pub fail_persist_after: usize,
    /// Uploads answered by an HTML page with status 500; nothing of them is stored.
    pub html_500: u32,
    /// Uploads that stand still for `hang_ms` before they are looked at; then they go on, client or not.
    pub hang: u32,
    /// How long a hanging upload stands still, in milliseconds.
    pub hang_ms: u64,
    /// Uploads whose connection is cut after all is stored, instead of an answer.
    pub drop_after_commit: u32,
    /// Whatever needs the database waits until this is false again.
    pub db_down: bool,
    /// Flows by id that are refused as by a validator, and its words, which may name them or not.
    pub refuses: BTreeMap<String, String>,
    /// Requests of this call (as in the statistics) stand still before they are looked at, until it is another one.
    pub stops_at: String,
}

impl Faults {
    /// These faults with the named ones changed; the error is a sentence about one of them. Where only the place of a
    /// failure is given, one upload fails.
    pub fn changed(&self, changes: serde_json::Value) -> Result<Self, String> {
        let serde_json::Value::Object(mut changes) = changes else {
            return Err("faults are a JSON object".to_owned());
        };
        if changes.contains_key("fail_persist_after") && !changes.contains_key("fail_persist") {
            changes.insert("fail_persist".to_owned(), 1.into());
        }
        let faults = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let serde_json::Value::Object(mut faults) = faults else {
            return Err("faults cannot be written as JSON".to_owned());
        };
        faults.extend(changes);
        let faults: Self = serde_json::from_value(faults.into()).map_err(|error| error.to_string())?;
        let day = 0.0..=86_400_000.0;
        for (name, ms) in [
            ("ms_per_flow", faults.ms_per_flow),
            ("ms_per_flow_v2", faults.ms_per_flow_v2),
            ("ms_per_request", faults.ms_per_request),
        ] {
            if !day.contains(&ms) {
                return Err(format!("{name} must be between 0 and 86400000"));
            }
        }
        Ok(faults)
    }
}

/// What is to happen to one upload.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct UploadFaults {
    pub(crate) html_500: bool,
    pub(crate) hang_ms: Option<u64>,
    pub(crate) fail_after: Option<usize>,
    pub(crate) drop_after_commit: bool,
    pub(crate) ms_per_flow: f64,
    pub(crate) ms_per_flow_v2: f64,
    refuses: BTreeMap<String, String>,
}

impl UploadFaults {
    /// The words against those of these flows that are refused.
    pub(crate) fn against<'f>(&self, flows: impl Iterator<Item = &'f str>) -> Vec<String> {
        let words = flows.filter_map(|flow| self.refuses.get(flow));
        words.cloned().collect()
    }
}

/// The faults of a running server.
#[derive(Debug)]
pub(crate) struct FaultBoard {
    faults: watch::Sender<Faults>,
    /// Requests that stand still.
    standing: watch::Sender<usize>,
}

impl FaultBoard {
    pub(crate) fn new(options: &Options) -> Self {
        let faults = Faults {
            ms_per_flow: options.ms_per_flow,
            ms_per_flow_v2: options.v2_ms(),
            ms_per_request: options.ms_per_request,
            hang_ms: 60_000,
            ..Faults::default()
        };
        Self {
            faults: watch::Sender::new(faults),
            standing: watch::Sender::new(0),
        }
    }

    pub(crate) fn get(&self) -> Faults {
        self.faults.borrow().clone()
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// Takes what hits the next upload, and counts it down.
    pub(crate) fn next_upload(&self) -> UploadFaults {
        let mut hits = UploadFaults::default();
        self.faults.send_modify(|faults| {
            let (hang_ms, fail_after) = (faults.hang_ms, faults.fail_persist_after);
            hits = UploadFaults {
                html_500: take(&mut faults.html_500),
                hang_ms: take(&mut faults.hang).then_some(hang_ms),
                fail_after: take(&mut faults.fail_persist).then_some(fail_after),
                drop_after_commit: take(&mut faults.drop_after_commit),
                ms_per_flow: faults.ms_per_flow,
                ms_per_flow_v2: faults.ms_per_flow_v2,
                refuses: faults.refuses.clone(),
            };
        });
        hits
    }

    /// Waits while the database is down.
    pub(crate) async fn database(&self) {
        self.wait_for(|faults| !faults.db_down).await;
    }

    /// Stands still while requests of this call do.
    pub(crate) async fn pass(&self, call: &str) {
        let stops = |faults: &Faults| faults.stops_at == call;
        if !stops(&self.faults.borrow()) {
            return;
        }
        self.standing.send_modify(|count| *count += 1);
        let _standing = Standing(&self.standing);
        self.wait_for(|faults| !stops(faults)).await;
    }

    /// Waits until some request stands still.
    pub(crate) async fn until_one_stands(&self) {
        let _ = self.standing.subscribe().wait_for(|count| *count > 0).await;
    }

    async fn wait_for(&self, wanted: impl FnMut(&Faults) -> bool) {
        // The sender lives as long as the board, so this only ends when it is so.
        let _ = self.faults.subscribe().wait_for(wanted).await;
    }
}

/// A request that stands still, as long as it is there: its client may leave.
struct Standing<'b>(&'b watch::Sender<usize>);

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn take(counter: &mut u32) -> bool {
    let hit = *counter > 0;
    *counter = counter.saturating_sub(1);
    hit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_faults_hit_that_many_uploads() {
        let board = FaultBoard::new(&Options {
            ms_per_flow: 0.6,
            ..Options::default()
        });
        board.set(Faults {
            html_500: 2,
            fail_persist: 1,
            fail_persist_after: 3,
            ..board.get()
        });
        let hits: Vec<_> = (0..3).map(|_| board.next_upload()).collect();
        assert_eq!(
            hits.iter().map(|hit| hit.html_500).collect::<Vec<_>>(),
            [true, true, false]
        );
        assert_eq!(
            hits.iter().map(|hit| hit.fail_after).collect::<Vec<_>>(),
            [Some(3), None, None]
        );
        assert!(
            (hits[2].ms_per_flow_v2 - 2.2).abs() < 1e-9,
            "Flow 2.0 is dearer in the measured proportion"
        );
    }

    #[tokio::test]
    async fn the_database_is_waited_for() {
        let board = std::sync::Arc::new(FaultBoard::new(&Options::default()));
        board.database().await;
        board.set(Faults {
            db_down: true,
            ..board.get()
        });
        let waiting = tokio::spawn({
            let board = std::sync::Arc::clone(&board);
            async move { board.database().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        board.set(Faults {
            db_down: false,
            ..board.get()
        });
        waiting.await.unwrap();
    }
}
