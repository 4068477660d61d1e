//! Takes letters out of the queue: what is to be sent is confirmed first, then a copy of a letter's rest, then the letter is
//! acknowledged. Several letters are under way at once, each in that order.

use std::collections::BTreeMap;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{
    AmqpError, Found, Headers, Letters, Outgoing, Sender, delete_parts, properties, send_parts,
};
use flowlift_common::ledger::{self, DeadLetter};
use flowlift_common::shutdown::Shutdown;
use flowlift_common::topology::DEAD;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::desk::Desk;
use super::letter::{Letter, read};
use crate::exit::Failure;

/// Letters under way at once.
const AT_ONCE: usize = 32;

/// What is to be done before a letter goes.
#[derive(Debug, Default)]
pub struct Work {
    /// Messages to send; their tags are not used.
    pub send: Vec<Outgoing>,
    /// What stays in the dead letters.
    pub rest: Option<DeadLetter>,
    /// Changes that go, each counted once however often it lies there.
    pub changes: Option<(ProjectName, u64)>,
    /// Bodies that cannot be read that go.
    pub unread: u64,
}

/// What was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Changes per project.
    pub projects: BTreeMap<ProjectName, u64>,
    /// Messages sent to shards.
    pub messages: u64,
    /// Bodies that cannot be read.
    pub unread: u64,
    /// Changes and bodies whose taking was begun: where this fails, nobody knows which of them are gone, because the broker
    /// confirms no acknowledgement.
    pub begun: u64,
    /// Whether a signal came before the end.
    pub partial: bool,
}

impl Taken {
    /// All changes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.projects.values().sum()
    }

    fn add(&mut self, work: Work) {
        if let Some((project, changes)) = work.changes
            && changes > 0
        {
            *self.projects.entry(project).or_default() += changes;
        }
        self.messages += work.send.len() as u64;
        self.unread += work.unread;
    }
}

/// Goes through all letters. `decide` says what to do before one goes, or nothing where it stays; `progress` hears how many
/// changes are gone. `taken` counts what is done even where this fails.
pub async fn take(
    desk: &Desk,
    shutdown: &Shutdown,
    taken: &mut Taken,
    mut decide: impl AsyncFnMut(Letter) -> Result<Option<Work>, Failure>,
    mut progress: impl FnMut(u64),
) -> Result<(), Failure> {
    let sender = Sender::open(&desk.link).await?;
    let mut letters = Letters::of(&desk.link);
    let mut under_way = FuturesUnordered::new();
    loop {
        if shutdown.stop.is_cancelled() {
            taken.partial = true;
            break;
        }
        let Some(found) = letters.next().await? else { break };
        let letter = read(&found.body, &found.facts);
        let Some(work) = decide(letter).await? else {
            continue;
        };
        taken.begun += work.changes.as_ref().map_or(0, |(_, changes)| *changes) + work.unread;
        under_way.push(one(desk, sender.clone(), work, found));
        if under_way.len() >= AT_ONCE
            && let Some(done) = under_way.next().await
        {
            taken.add(done?);
            progress(taken.changes());
        }
    }
    while let Some(done) = under_way.next().await {
        taken.add(done?);
        progress(taken.changes());
    }
    letters.give_back().await?;
    Ok(())
}

async fn one(desk: &Desk, sender: Sender, work: Work, found: Found) -> Result<Work, AmqpError> {
    desk.link
        .standing(send_and_remove(desk, sender, work, found))
        .await
}

async fn send_and_remove(desk: &Desk, sender: Sender, work: Work, found: Found) -> Result<Work, AmqpError> {
    for message in &work.send {
        if let Some(parcel) = &message.parcel {
            send_parts(&desk.link, &sender, parcel).await?;
        }
        let properties = message.properties.clone();
        sender
            .send_on(&desk.link, desk.shards, &message.queue, &message.body, properties)
            .await?;
    }
    if let Some(rest) = &work.rest {
        let (first, last) = rest.envelope.span();
        let publisher = found.facts.published_by.as_deref();
        let headers = Headers::of(&rest.envelope, first, last).noting(publisher);
        sender
            .send(DEAD, &ledger::encode(rest), properties(&headers))
            .await?;
    }
    found.remove().await?;
    if let Some(named) = &found.facts.parts {
        // its only change is gone from here, or queued anew with parts of its own
        delete_parts(&desk.link, named.run, named.seq).await?;
    }
    Ok(work)
}
