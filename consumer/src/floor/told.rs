//! Lets trails hear and see what hearts do, and tells of batches that have ended.

use std::collections::HashMap;
use std::sync::Arc;

use flowlift_common::trace::{Traces, now_us};

use super::Room;
use crate::hands::Hands;
use crate::held::Held;
use crate::project::{Action, Event};
use crate::trail::{Sent, Told};

pub(super) fn heard(room: &mut Room, event: &Event, traces: &Traces) {
    let Some(trail) = &mut room.trail else {
        return;
    };
    let answered = matches!(event, Event::Uploaded(_));
    let sent = answered.then(|| sent(&room.hands)).flatten();
    if let Some(span) = trail.heard(event, sent, now_us()) {
        traces.tell(span);
    }
}

pub(super) fn asked(room: &mut Room, actions: &[Action], held: &HashMap<u64, Arc<Held>>) {
    let Some(trail) = &mut room.trail else {
        return;
    };
    trail.asked(actions, now_us(), |receipt| {
        let held = held.get(&receipt)?;
        Some(Told {
            trace: held.trace(),
            published_ms: held.published_ms,
        })
    });
}

/// What the answered upload brought, or would have brought.
fn sent(hands: &Hands) -> Option<Sent> {
    let work = hands.work();
    let prepared = work.prepared.as_ref()?;
    let landed = work.upload.as_ref();
    let landed = landed.filter(|upload| upload.attempt == prepared.attempt);
    Some(Sent {
        zip_bytes: prepared.zip.len() as u64,
        flows: prepared.expected.len() as u64,
        version: landed.map(|upload| upload.version),
    })
}
