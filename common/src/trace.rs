//! Traces: where a change came from, carried in its message, and the spans that tell where the time went.
//!
//! Pure: [`TraceContext`] and [`Span`]. Shell: [`Traces`], which hands finished spans to a collector, in programs that were built
//! with the feature `traces`.

mod context;
mod exporter;
mod span;

pub use context::{TRACEPARENT, TraceContext};
pub use exporter::Traces;
pub use span::{Kind, Span, Value};

/// Whether this program was built with what hands spans to a collector.
pub const BUILT: bool = cfg!(feature = "traces");

/// This machine's clock in µs since 1970, for spans.
#[must_use]
pub fn now_us() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or_default()
}
