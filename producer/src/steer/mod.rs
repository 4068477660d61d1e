//! Cancelling a run, pausing, resuming: wishes are written down in RabbitMQ; consumers heed them within moments, and those that
//! come later read them first.

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Link, Sender, Wishes, wish};
use flowlift_common::fold::RunState;
use flowlift_common::order::RunId;
use flowlift_common::steer::{Pause, SteerEvent, Steering};

use jiff::tz::TimeZone;

use crate::publish::{now_ms, who};
use crate::runs::read::{begin, each_run_event};
use crate::when::minute_ms;

/// What the stream of runs says about a run, up to now.
///
/// # Errors
/// [`AmqpError`].
pub async fn run_so_far(link: &Link, run: RunId) -> Result<RunState, AmqpError> {
    let mut state = RunState::new(run);
    each_run_event(link, begin(run.made_at_ms()), |event| state.run_event(&event)).await?;
    Ok(state)
}

/// What is asked of the work at present.
///
/// # Errors
/// [`AmqpError`].
pub async fn steering(link: &Link) -> Result<Steering, AmqpError> {
    let sender = Sender::open(link).await?;
    Ok(Wishes::open(link, &sender).await?.0)
}

/// Writes down that nothing new is to be begun in a project, or in all of them; returns the pause that was there already.
///
/// # Errors
/// [`AmqpError`].
pub async fn pause(link: &Link, project: Option<&ProjectName>) -> Result<Option<Pause>, AmqpError> {
    let before = there(&steering(link).await?, project);
    let event = SteerEvent::Paused {
        project: project.cloned(),
        who: who(),
        at_ms: now_ms(),
    };
    wish(link, &event).await?;
    Ok(before)
}

/// What a resumption found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The pause that is over; none: there was none.
    pub ended: Option<Pause>,
    /// Pauses that hold on.
    pub left: Vec<Pause>,
}

/// Writes down that work goes on, in a project or where all are paused.
///
/// # Errors
/// [`AmqpError`].
pub async fn resume(link: &Link, project: Option<&ProjectName>) -> Result<Resumed, AmqpError> {
    let mut steering = steering(link).await?;
    let ended = there(&steering, project);
    let event = SteerEvent::Resumed {
        project: project.cloned(),
        who: who(),
        at_ms: now_ms(),
    };
    wish(link, &event).await?;
    steering.take(event);
    let left = steering.all().into_iter().chain(steering.projects()).cloned();
    Ok(Resumed {
        ended,
        left: left.collect(),
    })
}

fn there(steering: &Steering, project: Option<&ProjectName>) -> Option<Pause> {
    match project {
        Some(project) => steering.project(project).cloned(),
        None => steering.all().cloned(),
    }
}

/// `since 2026-11-26 23:10 by me@host`, in the zone of whoever looks.
#[must_use]
pub fn by(pause: &Pause, zone: &TimeZone) -> String {
    format!("since {} by {}", minute_ms(pause.at_ms, zone), pause.who)
}
