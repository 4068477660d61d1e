//! Spans in the library's form.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value as Otel};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::trace::{Kind, Span, TraceContext, Value};

/// Gives a span and all it was made of their places, and adds them.
pub(super) fn flatten(span: Span, into: &mut Vec<SpanData>) {
    let fresh = || {
        span.parent
            .map_or_else(TraceContext::fresh, |parent| parent.child())
    };
    let own = span.context.unwrap_or_else(fresh);
    let parent = span.parent;
    add(span, own, parent, true, into);
}

fn add(span: Span, own: TraceContext, parent: Option<TraceContext>, remote: bool, into: &mut Vec<SpanData>) {
    let mut links = SpanLinks::default();
    links.links = span.links.iter().map(link).collect();
    let attributes = span.attributes.into_iter();
    into.push(SpanData {
        span_context: context(&own, false),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id())),
        parent_span_is_remote: remote && parent.is_some(),
        span_kind: match span.kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
            Kind::Client => SpanKind::Client,
        },
        name: span.name.into(),
        start_time: time(span.begun_us),
        end_time: time(span.ended_us),
        attributes: attributes
            .map(|(name, value)| KeyValue::new(name, otel(value)))
            .collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("flowlift")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    });
    for child in span.children {
        add(child, own.child(), Some(own), false, into);
    }
}

fn link(to: &TraceContext) -> Link {
    Link::with_context(context(to, true))
}

fn context(of: &TraceContext, remote: bool) -> SpanContext {
    let flags = if of.is_sampled() {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    let (trace, span) = (
        TraceId::from_bytes(of.trace_id()),
        SpanId::from_bytes(of.span_id()),
    );
    SpanContext::new(trace, span, flags, remote, TraceState::default())
}

fn otel(value: Value) -> Otel {
    match value {
        Value::Text(text) => text.into(),
        Value::Number(number) => number.into(),
        Value::Flag(flag) => flag.into(),
    }
}

fn time(us: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_stand_below_their_span_in_its_trace() {
        let parent = TraceContext::fresh();
        let other = TraceContext::fresh();
        let span = Span {
            parent: Some(parent),
            links: vec![other],
            children: vec![Span::new("part", 2_000_000, 3_000_000)],
            error: Some("refused".into()),
            ..Span::new("whole", 1_000_000, 4_000_000).with("n", 7_u64)
        };
        let mut all = Vec::new();
        flatten(span, &mut all);
        let [whole, part] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!(whole.span_context.trace_id().to_bytes(), parent.trace_id());
        assert_eq!(whole.parent_span_id.to_bytes(), parent.span_id());
        assert!(whole.parent_span_is_remote && !part.parent_span_is_remote);
        assert_eq!(part.parent_span_id, whole.span_context.span_id());
        assert_eq!(part.span_context.trace_id(), whole.span_context.trace_id());
        assert_eq!(
            whole.links[0].span_context.trace_id().to_bytes(),
            other.trace_id()
        );
        assert_eq!(whole.status, Status::error("refused"));
        assert_eq!(whole.attributes, [KeyValue::new("n", 7_i64)]);
        assert_eq!(part.start_time, UNIX_EPOCH + Duration::from_secs(2));
    }

    #[test]
    fn a_place_that_was_told_others_is_kept_and_a_span_without_parent_begins_a_trace() {
        let own = TraceContext::fresh();
        let mut all = Vec::new();
        let told = Span {
            context: Some(own),
            ..Span::new("publish", 1, 2)
        };
        flatten(told, &mut all);
        flatten(Span::new("upload", 1, 2), &mut all);
        assert_eq!(all[0].span_context.span_id().to_bytes(), own.span_id());
        assert_eq!(all[0].parent_span_id, SpanId::INVALID);
        assert_ne!(all[1].span_context.trace_id(), all[0].span_context.trace_id());
        assert!(all[1].span_context.is_valid() && all[1].span_context.is_sampled());
    }
}
