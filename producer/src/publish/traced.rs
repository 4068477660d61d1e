//! A publishing as a span: every message of its run carries the place of it.

use std::cell::Cell;

use flowlift_common::config::Settings;
use flowlift_common::ledger;
use flowlift_common::order::RunId;
use flowlift_common::trace::{Kind, Span, TraceContext, Traces, now_us};

use super::Published;
use crate::exit::Failure;

/// A publishing that is under way.
pub struct Traced<'a> {
    traces: &'a Traces,
    name: &'static str,
    begun_us: u64,
    context: Option<TraceContext>,
    run: Cell<Option<RunId>>,
}

impl<'a> Traced<'a> {
    /// It begins now.
    #[must_use]
    pub fn begin(traces: &'a Traces, name: &'static str) -> Self {
        Self {
            traces,
            name,
            begun_us: now_us(),
            context: traces.is_on().then(TraceContext::fresh),
            run: Cell::new(None),
        }
    }

    /// Its place, for messages; none where nobody wants traces.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// The run is open.
    pub fn opened(&self, run: RunId) {
        self.run.set(Some(run));
    }

    /// It ended so.
    pub fn end(self, settings: &Settings, ended: &Result<Published, Failure>) {
        if let Some(context) = self.context {
            let times = (self.begun_us, now_us());
            let azkaban = settings.told_azkaban();
            let span = span(self.name, times, self.run.get(), azkaban, ended);
            self.traces.tell(Span {
                context: Some(context),
                ..span
            });
        }
    }
}

/// What is told of a publishing; an address of Azkaban never holds credentials.
fn span(
    name: &'static str,
    (begun_us, ended_us): (u64, u64),
    run: Option<RunId>,
    azkaban: Option<&str>,
    ended: &Result<Published, Failure>,
) -> Span {
    let mut span = Span {
        kind: Kind::Producer,
        ..Span::new(name, begun_us, ended_us)
    };
    if let Some(run) = run {
        span = span.with("flowlift.run", run.to_string());
    }
    if let Some(azkaban) = azkaban {
        span = span.with("flowlift.azkaban", azkaban);
    }
    match ended {
        Ok(published) => {
            span = span
                .with("flowlift.changes", published.changes())
                .with("flowlift.messages", published.messages)
                .with("flowlift.projects", published.projects.len() as u64);
            span.error = published.partial.then(|| "interrupted".to_owned());
        }
        Err(failure) => span.error = Some(ledger::cut(&failure.to_string())),
    }
    span
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use flowlift_azkaban::ProjectName;
    use flowlift_common::trace::Value;

    use super::*;

    fn published(partial: bool) -> Published {
        Published {
            run: run(),
            projects: BTreeMap::from([
                (ProjectName::new("p").unwrap(), 7),
                (ProjectName::new("q").unwrap(), 5),
            ]),
            messages: 3,
            partial,
            took: Duration::ZERO,
            left_out: 0,
        }
    }

    fn run() -> RunId {
        RunId(uuid::Uuid::from_u128(1))
    }

    #[test]
    fn a_publishing_tells_its_run_and_what_was_queued() {
        let told = span(
            "publish",
            (1, 2),
            Some(run()),
            Some("http://a:8081"),
            &Ok(published(false)),
        );
        assert_eq!((told.begun_us, told.ended_us, told.kind), (1, 2, Kind::Producer));
        assert_eq!(
            told.attributes,
            [
                ("flowlift.run", Value::Text(run().to_string())),
                ("flowlift.azkaban", Value::Text("http://a:8081".into())),
                ("flowlift.changes", Value::Number(12)),
                ("flowlift.messages", Value::Number(3)),
                ("flowlift.projects", Value::Number(2)),
            ]
        );
        assert_eq!(told.error, None);
    }

    #[test]
    fn one_that_was_interrupted_or_failed_says_so() {
        let interrupted = span("publish", (1, 2), Some(run()), None, &Ok(published(true)));
        assert_eq!(interrupted.error.as_deref(), Some("interrupted"));
        let failed = span(
            "publish",
            (1, 2),
            None,
            None,
            &Err(Failure::Usage("it broke".into())),
        );
        assert_eq!(failed.error.as_deref(), Some("it broke"));
        assert!(failed.attributes.is_empty());
    }

    #[test]
    fn where_nobody_wants_traces_no_message_gets_one() {
        let traces = Traces::default();
        assert_eq!(Traced::begin(&traces, "publish").context(), None);
    }
}
