//! Reads a source in a thread of its own, a few changes at a time, never far ahead of what is sent.

use std::io::BufRead as _;
use std::sync::Arc;

use flowlift_azkaban::rules::Finding;
use flowlift_common::ranges::RangeSet;
use tokio::sync::mpsc;

use super::outbox::weight;
use crate::source::line::Parser;
use crate::source::lines::LINE_MAX;
use crate::source::{Item, Items, Source};

/// Changes handed over together.
const AT_ONCE: usize = 256;
/// Or as many as come to this, in bytes.
const BYTES_AT_ONCE: usize = 256 << 10;
/// How many of these wait.
const AHEAD: usize = 4;

/// Changes as they are read.
type Read = Result<Item, Finding>;

/// The receiving end.
#[derive(Debug)]
pub struct Feed(mpsc::Receiver<Vec<Read>>);

impl Feed {
    /// Reads a source and then what comes after it.
    #[must_use]
    pub fn of(source: Arc<Source>, tail: Vec<Item>) -> Self {
        Self::reading(source, |items| Box::new(items.chain(tail.into_iter().map(Ok))))
    }

    fn reading(source: Arc<Source>, choose: impl FnOnce(Items<'_>) -> Items<'_> + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        // no task of the runtime: a thread that waits for input must not keep the program from ending
        std::thread::spawn(move || match source.items() {
            Ok(items) => drop(hand_over(choose(items), &sender)),
            Err(failure) => {
                let _ = sender.blocking_send(vec![Err(Finding {
                    path: None,
                    ..sentence(&failure.to_string())
                })]);
            }
        });
        Self(receiver)
    }

    /// Reads those changes of a source whose places (from 1) are picked.
    #[must_use]
    pub fn picked(source: Arc<Source>, places: RangeSet) -> Self {
        Self::reading(source, move |items| {
            let picked = (1..).zip(items).filter(move |(place, _)| places.contains(*place));
            Box::new(picked.map(|(_, item)| item))
        })
    }

    /// Reads standard input as it comes.
    #[must_use]
    pub fn of_stdin(mut parser: Parser) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD * AT_ONCE);
        std::thread::spawn(move || {
            let mut input = std::io::stdin().lock();
            let mut line = Vec::new();
            loop {
                line.clear();
                let mut limited = std::io::Read::take(&mut input, LINE_MAX as u64 + 1);
                let read = match limited.read_until(b'\n', &mut line) {
                    Ok(0) => return,
                    Ok(_) if line.len() > LINE_MAX => Some(Err(sentence("a line is longer than 64 MiB"))),
                    Ok(_) => parser.line(&line),
                    Err(error) => Some(Err(sentence(&format!("reading failed: {error}")))),
                };
                let ends = line.len() > LINE_MAX || (line.is_empty() && read.is_some());
                if let Some(read) = read
                    && (sender.blocking_send(vec![read]).is_err() || ends)
                {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The next changes; none when the source is at its end.
    pub async fn next(&mut self) -> Option<Vec<Read>> {
        self.0.recv().await
    }
}

fn hand_over(items: impl Iterator<Item = Read>, sender: &mpsc::Sender<Vec<Read>>) -> Option<()> {
    let (mut group, mut bytes) = (Vec::with_capacity(AT_ONCE), 0);
    for item in items {
        bytes += item.as_ref().map_or(0, |item| weight(&item.act));
        group.push(item);
        if group.len() == AT_ONCE || bytes >= BYTES_AT_ONCE {
            sender
                .blocking_send(std::mem::replace(&mut group, Vec::with_capacity(AT_ONCE)))
                .ok()?;
            bytes = 0;
        }
    }
    sender.blocking_send(group).ok()
}

fn sentence(text: &str) -> Finding {
    Finding {
        path: Some("standard input".into()),
        line: None,
        field: None,
        message: text.to_owned(),
    }
}
