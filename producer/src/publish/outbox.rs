//! Groups changes by project into messages of a good size, and numbers them.

use std::collections::HashMap;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::Outgoing;
use flowlift_common::envelope::{GROUP_BYTES, MAX_CHANGES, PackError, Rules};
use flowlift_common::topology::{shard_of, shard_queue};
use flowlift_common::trace::TraceContext;
use flowlift_common::{Act, Body, Change, Envelope, RunId};

/// What may wait in all groups together, in bytes before packing.
const WAITING_MAX: usize = 16 << 20;
/// A change of more bytes than this before packing is packed alone.
const LARGE: usize = 1 << 20;
/// How well changes pack before the first ones were packed: JSON of like flows packs better.
const FIRST_RATIO: f64 = 0.2;

/// What all messages of a run have in common.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The run.
    pub run: RunId,
    /// Its rank now.
    pub rank: u64,
    /// Its owner.
    pub owner: String,
    /// How projects are treated.
    pub rules: Rules,
    /// When the run should be settled.
    pub deadline_ms: Option<u64>,
    /// The wire version of the vhost.
    pub wire: u32,
    /// K.
    pub shards: u16,
    /// The trace the run belongs to.
    pub trace: Option<TraceContext>,
}

/// A message and what it is about.
#[derive(Debug)]
pub struct Ready {
    /// The message; its tag says project and count, see [`tag`].
    pub message: Outgoing,
}

/// Groups that are being filled.
#[derive(Debug)]
pub struct Outbox {
    /// What all messages have in common.
    pub frame: Frame,
    next_seq: u64,
    ratio: f64,
    waiting: HashMap<ProjectName, Group>,
    bytes: usize,
    projects: Vec<ProjectName>,
    places: HashMap<ProjectName, u64>,
}

#[derive(Debug, Default)]
struct Group {
    acts: Vec<Act>,
    bytes: usize,
}

/// A confirm's tag: which project (place in [`Outbox::projects`]) and how many changes.
#[must_use]
pub fn tag(project: u64, changes: usize) -> u64 {
    (project << 32) | changes as u64
}

/// The parts of a tag.
#[must_use]
pub fn untag(tag: u64) -> (usize, u64) {
    (
        usize::try_from(tag >> 32).unwrap_or(usize::MAX),
        tag & 0xffff_ffff,
    )
}

impl Outbox {
    /// Nothing is waiting.
    #[must_use]
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            next_seq: 1,
            ratio: FIRST_RATIO,
            waiting: HashMap::new(),
            bytes: 0,
            projects: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Takes a change; returns messages that are full.
    pub fn put(&mut self, project: &ProjectName, act: Act, now_ms: u64) -> Result<Vec<Ready>, PackError> {
        let size = weight(&act);
        if size > LARGE && self.waiting.contains_key(project) {
            // alone: what is packed together with it would be packed once more without it
            let mut ready = self.flush(project, now_ms)?;
            ready.extend(self.put(project, act, now_ms)?);
            return Ok(ready);
        }
        if !self.waiting.contains_key(project) {
            self.waiting.insert(project.clone(), Group::default());
        }
        let Some(group) = self.waiting.get_mut(project) else {
            return Ok(Vec::new());
        };
        group.acts.push(act);
        group.bytes += size;
        self.bytes += size;
        let full = group.bytes as f64 * self.ratio >= GROUP_BYTES as f64 || group.acts.len() == MAX_CHANGES;
        if full {
            return self.flush(project, now_ms);
        }
        if self.bytes > WAITING_MAX {
            let fullest = self.waiting.iter().max_by_key(|(_, group)| group.bytes);
            if let Some(project) = fullest.map(|(project, _)| project.clone()) {
                return self.flush(&project, now_ms);
            }
        }
        Ok(Vec::new())
    }

    /// Makes messages of all that waits.
    pub fn flush_all(&mut self, now_ms: u64) -> Result<Vec<Ready>, PackError> {
        let mut projects: Vec<ProjectName> = self.waiting.keys().cloned().collect();
        projects.sort();
        let mut ready = Vec::new();
        for project in projects {
            ready.extend(self.flush(&project, now_ms)?);
        }
        Ok(ready)
    }

    /// The projects by their place in tags.
    #[must_use]
    pub fn projects(&self) -> &[ProjectName] {
        &self.projects
    }

    /// The last sequence given.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Numbers are given here, not when a change is read: so each message holds one range without gaps, and an unreadable
    /// one can be accounted for by its headers.
    fn flush(&mut self, project: &ProjectName, now_ms: u64) -> Result<Vec<Ready>, PackError> {
        let Some(group) = self.waiting.remove(project) else {
            return Ok(Vec::new());
        };
        self.bytes -= group.bytes;
        let first = self.next_seq;
        let changes: Vec<Change> = group
            .acts
            .into_iter()
            .zip(first..)
            .map(|(act, seq)| Change { seq, act })
            .collect();
        self.next_seq += changes.len() as u64;
        let frame = &self.frame;
        let envelope = Envelope {
            v: frame.wire,
            project: project.clone(),
            run: frame.run,
            rank: frame.rank,
            owner: frame.owner.clone(),
            published_ms: now_ms,
            rules: frame.rules,
            changes: Vec::new(),
            deadline_ms: frame.deadline_ms,
        };
        let packed = envelope.pack(changes)?;
        let total: usize = packed.iter().map(|one| one.body.len()).sum();
        // one large file says nothing of how flows pack
        if (1..=LARGE).contains(&group.bytes) {
            self.ratio = (total as f64 / group.bytes as f64).clamp(0.001, 1.0);
        }
        let place = self.place(project);
        let queue = shard_queue(shard_of(project, self.frame.shards));
        let ready = packed.into_iter().map(|one| Ready {
            message: {
                let tag = tag(place, one.changes);
                Outgoing::of(&envelope, one, queue.clone(), tag).traced(self.frame.trace.as_ref())
            },
        });
        Ok(ready.collect())
    }

    fn place(&mut self, project: &ProjectName) -> u64 {
        if let Some(place) = self.places.get(project) {
            return *place;
        }
        let place = self.projects.len() as u64;
        self.projects.push(project.clone());
        self.places.insert(project.clone(), place);
        place
    }
}

/// About how many bytes of JSON a change takes.
#[must_use]
pub fn weight(act: &Act) -> usize {
    const AROUND: usize = 48;
    let map = |props: &std::collections::BTreeMap<String, String>| {
        props
            .iter()
            .map(|(key, value)| key.len() + value.len() + 6)
            .sum::<usize>()
    };
    AROUND
        + match act {
            Act::Upsert(upsert) => match &upsert.body {
                Body::Flow(flow) => {
                    let jobs = flow.jobs.iter().map(|job| {
                        let needs: usize = job.depends_on.iter().map(|name| name.len() + 3).sum();
                        job.name.len() + job.kind.len() + map(&job.props) + needs + 40
                    });
                    flow.name.as_str().len() + map(&flow.props) + jobs.sum::<usize>()
                }
                Body::Unit(unit) => {
                    unit.files
                        .iter()
                        .map(|(path, content)| path.len() + content.0.len() + 20)
                        .sum::<usize>()
                        + unit
                            .flows
                            .iter()
                            .map(|flow| flow.as_str().len() + 3)
                            .sum::<usize>()
                }
            },
            Act::Delete { flow } => flow.as_str().len(),
            Act::DeleteMatching(pattern) => {
                pattern.glob.len()
                    + pattern
                        .except
                        .iter()
                        .map(|flow| flow.as_str().len() + 3)
                        .sum::<usize>()
            }
            Act::PutFile { path, content } => path.len() + content.0.len(),
            Act::DeleteFile { path } => path.len(),
            Act::Check => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_azkaban::FlowName;
    use proptest::prelude::*;

    fn frame() -> Frame {
        Frame {
            run: RunId(uuid::Uuid::from_u128(1)),
            rank: 1,
            owner: String::new(),
            rules: Rules::default(),
            deadline_ms: None,
            wire: 1,
            shards: 8,
            trace: None,
        }
    }

    proptest! {
        #[test]
        fn every_change_travels_once_in_the_order_of_its_project(picks in prop::collection::vec(0usize..4, 1..3_000)) {
            let mut outbox = Outbox::new(frame());
            let mut ready = Vec::new();
            let project = |at: usize| ProjectName::new(format!("p{at}")).unwrap();
            for (n, at) in picks.iter().enumerate() {
                let flow = FlowName::new(format!("f{n}")).unwrap();
                ready.extend(outbox.put(&project(*at), Act::Delete { flow }, 0).unwrap());
            }
            ready.extend(outbox.flush_all(0).unwrap());
            let mut seqs = Vec::new();
            let mut flows: HashMap<ProjectName, Vec<usize>> = HashMap::new();
            for one in &ready {
                let envelope = Envelope::decode(&one.message.body).unwrap();
                let (first, last) = envelope.span();
                prop_assert_eq!(last - first + 1, envelope.changes.len() as u64);
                let (place, count) = untag(one.message.tag);
                prop_assert_eq!(&outbox.projects()[place], &envelope.project);
                prop_assert_eq!(count, envelope.changes.len() as u64);
                for change in &envelope.changes {
                    seqs.push(change.seq);
                    let number = change.label()[1..].parse().unwrap();
                    flows.entry(envelope.project.clone()).or_default().push(number);
                }
            }
            seqs.sort_unstable();
            prop_assert_eq!(seqs, (1..=picks.len() as u64).collect::<Vec<_>>());
            prop_assert!(flows.values().all(|numbers| numbers.is_sorted()));
        }
    }

    #[test]
    fn a_file_too_large_for_a_message_goes_alone_in_parts_and_in_its_place() {
        let mut outbox = Outbox::new(frame());
        let project = ProjectName::new("p").unwrap();
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let file = Act::PutFile {
            path: "lib/x.jar".into(),
            content: flowlift_common::Content(noise.take(9 << 20).collect()),
        };
        let delete = |name: &str| Act::Delete {
            flow: FlowName::new(name).unwrap(),
        };
        let mut ready = outbox.put(&project, delete("a"), 0).unwrap();
        ready.extend(outbox.put(&project, file.clone(), 0).unwrap());
        ready.extend(outbox.put(&project, delete("b"), 0).unwrap());
        ready.extend(outbox.flush_all(0).unwrap());
        assert_eq!(ready.len(), 3);
        let parcel = ready[1].message.parcel.as_ref().expect("it goes in parts");
        assert_eq!((parcel.named.seq, parcel.named.count), (2, 3));
        let envelope = Envelope::decode_parts(&parcel.body[..], 0).unwrap();
        assert!(envelope.changes[0].act == file);
        let outline = flowlift_common::parts::read_outline(&ready[1].message.body).unwrap();
        assert_eq!(outline.changes[0].label(), "file lib/x.jar");
        assert_eq!(untag(ready[1].message.tag), (0, 1));
        assert!(ready[0].message.parcel.is_none() && ready[2].message.parcel.is_none());
    }

    #[test]
    fn like_changes_fill_messages_well() {
        let mut outbox = Outbox::new(frame());
        let project = ProjectName::new("p").unwrap();
        let mut ready = Vec::new();
        for n in 0..20_000 {
            let flow = FlowName::new(format!("flow_{n:06}")).unwrap();
            ready.extend(outbox.put(&project, Act::Delete { flow }, 0).unwrap());
        }
        ready.extend(outbox.flush_all(0).unwrap());
        let full = ready
            .iter()
            .filter(|one| one.message.body.len() > GROUP_BYTES / 3)
            .count();
        assert!(
            full * 2 > ready.len(),
            "{full} of {} messages are well filled",
            ready.len()
        );
    }
}
