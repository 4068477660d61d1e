//! How much of an upload's body has left.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;

/// The size of the pieces a body is handed over in, and so how finely it is counted.
const PIECE: usize = 64 << 10;
const NOT_BEGUN: u64 = u64::MAX;

/// Tells how far the body of an upload got, also after the call failed or was dropped.
///
/// Bytes count when they are handed to the connection, a little before they are on the wire. So `all_sent` errs on the safe
/// side: while it is `false` Azkaban cannot have a whole zip, and a broken upload left no trace.
#[derive(Debug, Clone)]
pub struct BodyState(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    total: AtomicU64,
    left: AtomicU64,
}

impl Default for BodyState {
    fn default() -> Self {
        Self(Arc::new(Counts {
            total: AtomicU64::new(NOT_BEGUN),
            left: AtomicU64::new(0),
        }))
    }
}

impl BodyState {
    /// For an upload that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the whole zip has been handed over: from here on only Azkaban knows what comes of it.
    #[must_use]
    pub fn all_sent(&self) -> bool {
        let total = self.0.total.load(Ordering::Acquire);
        total != NOT_BEGUN && self.0.left.load(Ordering::Acquire) >= total
    }

    /// Bytes of the zip handed over so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.left.load(Ordering::Acquire)
    }

    /// Back to the start: nothing of what was sent counts.
    pub(super) fn reset(&self) {
        self.0.total.store(NOT_BEGUN, Ordering::Release);
        self.0.left.store(0, Ordering::Release);
    }

    /// A body that is counted as it leaves. No byte is copied.
    pub(super) fn body(&self, zip: Bytes) -> Body {
        self.reset();
        let total = zip.len();
        self.0.total.store(total as u64, Ordering::Release);
        let state = self.clone();
        let pieces = (0..total).step_by(PIECE).map(move |at| {
            let piece = zip.slice(at..total.min(at + PIECE));
            state.0.left.fetch_add(piece.len() as u64, Ordering::AcqRel);
            Ok::<_, io::Error>(piece)
        });
        Body::wrap_stream(stream::iter(pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_that_has_not_begun_has_sent_nothing() {
        assert!(!BodyState::new().all_sent());
    }

    #[test]
    fn a_body_that_nobody_takes_has_not_left() {
        let state = BodyState::new();
        let body = state.body(Bytes::from_static(&[7; PIECE + 1]));
        assert!(!state.all_sent());
        drop(body);
        assert_eq!((state.all_sent(), state.bytes()), (false, 0));
    }
}
