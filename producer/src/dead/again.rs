//! Queues dead letters anew, as a run of its own that can be waited for.

use std::time::{Duration, Instant};

use flowlift_common::amqp::{AmqpError, FetchError, Link, OpenRun, Outgoing, Sender, fetch_parts};
use flowlift_common::config::Settings;
use flowlift_common::ledger::{self, DeadLetter, RunEvent};
use flowlift_common::shutdown::Shutdown;
use flowlift_common::topology::{RUNS, shard_of, shard_queue};
use flowlift_common::trace::TraceContext;
use flowlift_common::{Change, Envelope, RunId};

use super::desk::Desk;
use super::letter::{Entry, Letter, entries, split, without_changes};
use super::overtaken::Watch;
use super::picked::{Picked, Places};
use super::take::{Taken, Work, take};
use crate::exit::Failure;
use crate::publish::{Opening, Published, now_ms, opened_record};
use crate::reporter::Reporter;
use crate::words::{count, count_are};

/// A long run draws a new rank this often, as in publishing.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// What is queued anew, and how.
pub struct Again<'a> {
    /// The settings, for a new connection should this one break.
    pub settings: &'a Settings,
    /// Which changes.
    pub picked: &'a Picked,
    /// A change that is overtaken by its own run stays; see [`super::overtaken::Scope::OwnRun`].
    pub stays: Option<&'a Watch>,
    /// Whether they become the newest of their flows; else each keeps its rank.
    pub as_new: bool,
    /// The owner they have in common, for the record of the run.
    pub owner: String,
    /// How many there are.
    pub total: u64,
    /// The trace the run belongs to.
    pub trace: Option<TraceContext>,
}

impl Again<'_> {
    /// Opens a run, queues the changes, takes their letters away, closes the run.
    ///
    /// `heard` gets the run's id as soon as it is open.
    pub async fn run(
        &self,
        desk: &Desk,
        reporter: &Reporter,
        shutdown: &Shutdown,
        heard: impl FnOnce(RunId) -> Result<(), Failure>,
    ) -> Result<Published, Failure> {
        // above the old runs: where a rank is kept, the run decides, and a change may stand in the manifest already
        // although its schedule was refused
        let run = RunId::fresh_after(self.picked.runs());
        let source = format!("{} requeued", count(self.total, "dead letter"));
        let opening = Opening {
            source,
            owner: self.owner.clone(),
            deadline_ms: None,
            shards: desk.shards,
        };
        let event = |rank| opened_record(run, rank, opening);
        let open = OpenRun::open(&desk.link, run, now_ms(), event).await?;
        let began = Instant::now();
        heard(run)?;
        let mut taken = Taken::default();
        let mut sending = Sending {
            again: self,
            open,
            renewed: Instant::now(),
            places: self.picked.places(),
            sent: Picked::default(),
            shards: desk.shards,
            reporter,
        };
        let stage = reporter.stage("queued", "changes", Some(self.total));
        let ended = take(
            desk,
            shutdown,
            &mut taken,
            async |letter| sending.decide(&desk.link, letter).await,
            |done| stage.set(done, Some(self.total)),
        )
        .await;
        stage.finish();
        let published = Published {
            run,
            messages: taken.messages,
            partial: taken.partial || ended.is_err(),
            projects: taken.projects,
            took: began.elapsed(),
            left_out: 0,
        };
        let closed = self.close(&desk.link, &published, sending.open.rank).await;
        let queued = count_are(published.changes(), "change");
        match (ended, closed) {
            (Ok(()), closed) => closed.map(|()| published).map_err(Failure::from),
            (Err(failure), closed) => {
                let state = if closed.is_ok() {
                    "closed as partial"
                } else {
                    "left open"
                };
                reporter.warn(&format!(
                    "at least {queued} queued as run {run}, which is {state}; all others are in the dead letters as before"
                ));
                Err(failure)
            }
        }
    }

    async fn close(&self, link: &Link, published: &Published, rank: u64) -> Result<(), AmqpError> {
        let record = ledger::encode(&RunEvent::Closed {
            run: published.run,
            rank,
            projects: published.projects.clone(),
            partial: published.partial,
            at_ms: now_ms(),
        });
        let write = async |link: &Link| Sender::open(link).await?.record(RUNS, &record).await;
        match write(link).await {
            Err(AmqpError::Lost(_)) => {
                let link = Link::connect(self.settings.amqp_url(), "flowlift dead").await?;
                let written = write(&link).await;
                link.close().await;
                written
            }
            written => written,
        }
    }
}

struct Sending<'a> {
    again: &'a Again<'a>,
    open: OpenRun,
    renewed: Instant,
    places: Places,
    sent: Picked,
    shards: u16,
    reporter: &'a Reporter,
}

impl Sending<'_> {
    async fn decide(&mut self, link: &Link, letter: Letter) -> Result<Option<Work>, Failure> {
        let Letter::Changes(letter) = letter else {
            return Ok(None);
        };
        let parts = split(&letter, |entry| self.is_meant(&entry));
        let Some(mut chosen) = parts.chosen else {
            return Ok(None);
        };
        if !self.is_sent(&chosen) && !self.complete(link, &mut chosen).await? {
            return Ok(None);
        }
        if self.again.as_new && self.renewed.elapsed() >= RENEW_EVERY {
            self.open.renew(link, now_ms()).await?;
            self.renewed = Instant::now();
        }
        self.work(&chosen, parts.rest).map(Some)
    }

    fn is_sent(&self, letter: &DeadLetter) -> bool {
        entries(letter).all(|entry| self.sent.has(entry.order()))
    }

    /// Fetches the content that lies in parts; `false`: it is not there any more, and the letter stays.
    async fn complete(&self, link: &Link, letter: &mut DeadLetter) -> Result<bool, Failure> {
        let Some(named) = &letter.parts else {
            return Ok(true);
        };
        let failed = |source| Failure::Io {
            path: "the folder for temporary files".into(),
            source,
        };
        let file = tempfile::tempfile().map_err(failed)?;
        let lacking = match fetch_parts(link, named, file).await {
            Ok(body) => match body.open() {
                Ok(envelope) if envelope.span() == letter.envelope.span() => {
                    letter.envelope.changes = envelope.changes;
                    return Ok(true);
                }
                Ok(_) => "its parts hold another change".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(FetchError::Amqp(error)) => return Err(error.into()),
            Err(FetchError::File(error)) => return Err(failed(error)),
            Err(error) => error.to_string(),
        };
        let names = entries(letter).map(|entry| format!("{} ({})", entry.id(), entry.change.label()));
        self.reporter.warn(&format!(
            "dead letter {} is left: {lacking}; publish it again from its source",
            names.collect::<Vec<_>>().join(", ")
        ));
        Ok(false)
    }

    fn is_meant(&self, entry: &Entry<'_>) -> bool {
        let stays = self.again.stays.is_some_and(|watch| watch.over(entry).is_some());
        !stays && self.again.picked.has(entry.order())
    }

    fn work(&mut self, chosen: &DeadLetter, rest: Option<DeadLetter>) -> Result<Work, Failure> {
        let old = &chosen.envelope;
        let frame = Envelope {
            run: self.open.run,
            rank: if self.again.as_new {
                self.open.rank
            } else {
                old.rank
            },
            published_ms: now_ms(),
            // the old run's is over or is not this run's
            deadline_ms: None,
            ..without_changes(old)
        };
        let mut changes = Vec::new();
        for change in &old.changes {
            let order = old.order(change);
            // a copy of what was sent a moment ago only has to go
            if !self.sent.add(order) {
                continue;
            }
            let place = self.places.of(order);
            let seq = place.ok_or_else(|| Failure::Bug(format!("change {} has no place", change.seq)))?;
            changes.push(Change {
                seq,
                act: change.act.clone(),
            });
        }
        let fresh = changes.len() as u64;
        Ok(Work {
            send: messages(&frame, changes, self.shards, self.again.trace)?,
            rest,
            changes: Some((frame.project, fresh)),
            unread: 0,
        })
    }
}

/// Packs changes; each message holds one range without gaps, so that an unreadable one can be accounted for by its headers.
fn messages(
    frame: &Envelope,
    changes: Vec<Change>,
    shards: u16,
    trace: Option<TraceContext>,
) -> Result<Vec<Outgoing>, Failure> {
    let queue = shard_queue(shard_of(&frame.project, shards));
    let mut messages = Vec::new();
    for range in without_gaps(changes) {
        let packed = frame
            .pack(range)
            .map_err(|error| Failure::Bug(error.to_string()))?;
        let message = |one| Outgoing::of(frame, one, queue.clone(), 0).traced(trace.as_ref());
        messages.extend(packed.into_iter().map(message));
    }
    Ok(messages)
}

fn without_gaps(mut changes: Vec<Change>) -> Vec<Vec<Change>> {
    changes.sort_by_key(|change| change.seq);
    let mut ranges: Vec<Vec<Change>> = Vec::new();
    for change in changes {
        match ranges.last_mut() {
            Some(range) if range.last().is_some_and(|last| last.seq + 1 == change.seq) => range.push(change),
            _ => ranges.push(vec![change]),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    #[test]
    fn each_message_holds_one_range_without_gaps() {
        let letter = letter(1, 9, &[1, 2, 5, 7, 6]);
        let sent = messages(
            &without_changes(&letter.envelope),
            letter.envelope.changes.clone(),
            8,
            None,
        )
        .unwrap();
        let seqs: Vec<Vec<u64>> = sent
            .iter()
            .map(|message| {
                let envelope = Envelope::decode(&message.body).unwrap();
                envelope.changes.iter().map(|change| change.seq).collect()
            })
            .collect();
        assert_eq!(seqs, [vec![1, 2], vec![5, 6, 7]]);
        assert!(
            sent.iter()
                .all(|message| message.queue == shard_queue(shard_of(&letter.envelope.project, 8)))
        );
    }
}
