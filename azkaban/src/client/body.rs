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
#[derive(Clone)]
pub struct BodyState(Arc<Counts>);

struct Counts {
    total: AtomicU64,
    left: AtomicU64,
    allowed: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Default for BodyState {
    fn default() -> Self {
        Self::while_allowed(|| true)
    }
}

impl BodyState {
    /// For an upload that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For an upload whose body is broken off, so that nothing comes of it, when `allowed` says no before a piece leaves.
    pub fn while_allowed(allowed: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Counts {
            total: AtomicU64::new(NOT_BEGUN),
            left: AtomicU64::new(0),
            allowed: Box::new(allowed),
        }))
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
        Body::wrap_stream(stream::iter(self.pieces(zip)))
    }

    fn pieces(&self, zip: Bytes) -> impl Iterator<Item = io::Result<Bytes>> + Send + use<> {
        self.reset();
        let total = zip.len();
        self.0.total.store(total as u64, Ordering::Release);
        let state = self.clone();
        (0..total).step_by(PIECE).map(move |at| {
            if !(state.0.allowed)() {
                return Err(io::Error::other("the upload is not allowed any more"));
            }
            let piece = zip.slice(at..total.min(at + PIECE));
            state.0.left.fetch_add(piece.len() as u64, Ordering::AcqRel);
            Ok(piece)
        })
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
    fn a_body_that_is_not_allowed_any_more_breaks_off_before_its_next_piece() {
        let pieces = AtomicU64::new(0);
        let state = BodyState::while_allowed(move || pieces.fetch_add(1, Ordering::AcqRel) < 2);
        let taken: Vec<_> = state.pieces(Bytes::from_static(&[7; 3 * PIECE])).collect();
        assert_eq!(
            taken.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, true, false]
        );
        assert!(!state.all_sent());
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
