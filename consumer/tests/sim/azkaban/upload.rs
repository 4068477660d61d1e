//! The client's side of an upload: connect, send the body, wait for the answer. What it can tell of a failure depends on how
//! much of the body had left.

use std::time::Duration;

use flowlift_azkaban::client::{ClientError, Doubt};

use super::Caller;
use super::calls::cut_for;
use super::install::{Answer, Upload, install};
use crate::clock::{Ms, Promise, first};
use crate::world::{W, tell};

/// A connection must come about within this time.
const CONNECT: Ms = 10_000;
/// The server drops a connection that is silent for so long.
const IDLE: Ms = 200_000;

/// A body is sent in so many pieces; before each the client looks whether it still may.
const PIECES: Ms = 4;

/// Uploads; `limit` bounds all of it.
pub(crate) async fn upload(w: &W, who: Caller, upload: Upload, limit: Ms) -> Answer {
    w.azkaban.requests.set(w.azkaban.requests.get() + 1);
    let deadline = w.now() + limit;
    w.clock.sleep(w.latency()).await;
    if cut_for(w, who) > 0 || !w.azkaban.up.get() {
        let wait = cut_for(w, who).min(CONNECT);
        w.clock.sleep(wait).await;
        return Err(ClientError::Unreachable {
            url: "azkaban".into(),
            reason: "connection refused".into(),
        });
    }
    let process = w.azkaban.process.get();
    let begun = w.now();
    let time = if w.strikes(w.weather.slow_body) {
        w.skewed(1_000, 250_000)
    } else {
        w.between(1, 50)
    };
    for _ in 0..PIECES {
        w.clock.sleep(time.min(limit) / PIECES).await;
        if let Caller::Node(index) = who
            && !w.nodes[index].has_lease(w.now())
        {
            tell!(
                w,
                "night-{}: breaks {} off, it may have lost the shard",
                index + 1,
                upload.file
            );
            return Err(ClientError::Broken {
                call: "upload",
                reason: "broken off".into(),
            });
        }
    }
    let cut = cut_for(w, who);
    w.clock.sleep(cut.min(IDLE)).await;
    let broken = || ClientError::Broken {
        call: "upload",
        reason: "connection reset".into(),
    };
    // a client that was frozen finds its connection dropped by the server
    let gone = !w.azkaban.up.get() || w.azkaban.process.get() != process;
    if gone || cut > IDLE || w.now() - begun > time + IDLE {
        return Err(broken());
    }
    if w.now() >= deadline {
        return Err(ClientError::TimedOut {
            call: "upload",
            after: Duration::from_millis(limit),
        });
    }
    // the last byte of the body has left
    let (answer, died) = (Promise::new(&w.clock), w.azkaban.died.borrow().clone());
    let server = install(std::rc::Rc::clone(w), upload.clone(), answer.clone());
    tell!(w, "azkaban: has the whole body of {}", upload.file);
    w.clock.spawn(w.azkaban.process.get(), server);
    let doubt = |doubt: Doubt| ClientError::InDoubt {
        project: upload.key.clone(),
        doubt,
    };
    if w.strikes(w.weather.page / 2) {
        // a gateway gives up on a server that is still at it
        let gateway = w.between(1, 60_000);
        let answered = first(answer.clone(), w.clock.sleep(gateway)).await;
        if answered.is_err() {
            return Err(doubt(Doubt::Page {
                status: 504,
                title: "Gateway Time-out".into(),
            }));
        }
    }
    let waited = first(answer, first(died, w.clock.sleep_until(deadline))).await;
    let answer = match waited {
        Ok(answer) => answer,
        Err(Ok(())) => return Err(doubt(Doubt::Broken("connection reset".into()))),
        Err(Err(())) => return Err(doubt(Doubt::TimedOut(Duration::from_millis(limit)))),
    };
    w.clock.sleep(w.latency()).await;
    if cut_for(w, who) > 0 {
        w.clock.sleep(cut_for(w, who).min(limit)).await;
        return Err(doubt(Doubt::TimedOut(Duration::from_millis(limit))));
    }
    if w.strikes(w.weather.lost_answer) {
        return Err(doubt(Doubt::Broken("connection reset".into())));
    }
    if w.strikes(w.weather.page) {
        return Err(doubt(Doubt::Page {
            status: 500,
            title: "Error 500".into(),
        }));
    }
    answer
}
