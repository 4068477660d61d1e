//! `flowlift status`.

use std::io::IsTerminal as _;
use std::time::Duration;

use console::Term;
use flowlift_common::amqp::{AmqpError, Link, declare};
use flowlift_common::shutdown::Shutdown;
use jiff::tz::TimeZone;
use tokio::time::{MissedTickBehavior, interval};

use super::Context;
use crate::cli::StatusArgs;
use crate::exit::{Failure, printed};
use crate::publish::{now_ms, remade, set_up};
use crate::status::{History, Look, Now, Watch, json, screen, words};

/// The pause before a lost connection is made anew.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows how the work is, once or until it is interrupted.
pub(super) async fn run(context: &Context, args: &StatusArgs) -> Result<(), Failure> {
    if !args.watch {
        let link = Link::connect(context.settings.amqp_url(), "flowlift status").await?;
        let now = begin(context, &link, false).await?.look(&link, now_ms()).await;
        let now = match now {
            Err(AmqpError::Missing { queue, .. }) => {
                context.reporter.warn(&remade(&queue));
                declare(&link, context.settings.shards, &context.settings.retention).await?;
                begin(context, &link, false).await?.look(&link, now_ms()).await?
            }
            now => now?,
        };
        link.close().await;
        return context.print(|| json(&now), || words(&now, &TimeZone::system()));
    }
    let shutdown = context.watch_signals()?;
    let mut view = View {
        term: Term::stdout(),
        live: std::io::stdout().is_terminal() && !context.json,
        history: History::default(),
    };
    view.begin()?;
    let watched = watch(context, args, &mut view, &shutdown).await;
    view.end();
    watched
}

async fn begin(context: &Context, link: &Link, on: bool) -> Result<Watch, Failure> {
    let record = set_up(link, &context.settings, &context.reporter).await?;
    Ok(Watch::open(link, record, on, now_ms()).await?)
}

/// Looks again and again; a connection that is lost is made anew.
async fn watch(
    context: &Context,
    args: &StatusArgs,
    view: &mut View,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let mut first = true;
    loop {
        match looks(context, args, view, shutdown).await {
            Err(Failure::Amqp(error)) if error.is_transient() && !first => {
                view.lost(context, &error)?;
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = shutdown.stop.cancelled() => return Ok(()),
                }
            }
            ended => return ended,
        }
        first = false;
    }
}

async fn looks(
    context: &Context,
    args: &StatusArgs,
    view: &mut View,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let link = Link::connect(context.settings.amqp_url(), "flowlift status").await?;
    let mut watch = begin(context, &link, true).await?;
    let mut tick = interval(args.every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.stop.cancelled() => {
                link.close().await;
                return Ok(());
            }
        }
        let now = watch.look(&link, now_ms()).await?;
        view.show(context, &now)?;
    }
}

struct View {
    term: Term,
    /// A screen that is drawn anew, or lines one after the other.
    live: bool,
    history: History,
}

impl View {
    fn begin(&self) -> Result<(), Failure> {
        if self.live {
            // a screen of its own, as pagers have: what was there comes back
            printed(self.term.write_str("\x1b[?1049h\x1b[?25l"))?;
        }
        Ok(())
    }

    fn end(&self) {
        if self.live {
            // the terminal may be gone
            let _ = self.term.write_str("\x1b[?25h\x1b[?1049l");
        }
    }

    fn show(&mut self, context: &Context, now: &Now) -> Result<(), Failure> {
        self.history.add(now.rates().0);
        if !self.live {
            return context.print(|| json(now), || line(now));
        }
        let (height, width) = self.term.size();
        let look = Look {
            width: usize::from(width),
            height: usize::from(height),
            colour: console::colors_enabled(),
        };
        let lines = screen(now, &self.history, &TimeZone::system(), look);
        self.draw(&lines)
    }

    fn lost(&self, context: &Context, error: &AmqpError) -> Result<(), Failure> {
        if self.live {
            return self.draw(&[format!("{error}"), "waiting for it".to_owned()]);
        }
        context.reporter.warn(&format!("{error}; waiting for it"));
        Ok(())
    }

    /// Line by line over what was there, so that nothing flickers.
    fn draw(&self, lines: &[String]) -> Result<(), Failure> {
        let mut text = String::from("\x1b[H");
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                text += "\r\n";
            }
            text += line;
            text += "\x1b[K";
        }
        text += "\x1b[J";
        printed(self.term.write_str(&text))
    }
}

/// One line for where there is no screen.
fn line(now: &Now) -> String {
    let (messages, _) = now.in_hand();
    let left = now
        .left()
        .map_or_else(String::new, |left| format!(", {} left", crate::words::span(left)));
    format!(
        "{} waiting, {messages} in hand, {} parked, {} dead; {:.1} changes/s, {} consumers{left}",
        now.waiting(),
        now.parked(),
        now.depths.dead,
        now.rates().0,
        now.consumers.len()
    )
}
