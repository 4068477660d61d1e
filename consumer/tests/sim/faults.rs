//! What goes wrong in a night, and when.

use std::rc::Rc;

use crate::azkaban;
use crate::clock::{Ms, OUTSIDE};
use crate::node::{life, session};
use crate::world::{W, tell};

/// Spreads the faults of the weather over the night.
pub(crate) fn spread(w: &W) {
    let weather = w.weather.clone();
    some(w, weather.freezes, |w| async move {
        let (node, time) = (any_node(&w), long(&w));
        life::freeze(&w, node, time).await;
    });
    some(w, weather.cuts, |w| async move {
        let (node, time) = (any_node(&w), long(&w));
        life::cut(&w, node, time);
    });
    some(w, weather.azkaban_cuts, |w| async move {
        let (node, time) = (any_node(&w), long(&w));
        tell!(w, "night-{}: is cut off from Azkaban for {} s", node + 1, time / 1_000);
        w.nodes[node].azkaban_cut_until.set(w.now() + time);
    });
    some(w, weather.leaves, |w| async move {
        let node = any_node(&w);
        session::leave(&w, node);
        let pause = w.skewed(1_000, 300_000);
        w.clock.sleep(pause).await;
        life::start(&w, node);
    });
    some(w, weather.broker_restarts, |w| async move {
        if !w.broker.borrow().up {
            return;
        }
        w.broker_stops();
        let pause = w.skewed(1_000, 180_000);
        w.clock.sleep(pause).await;
        w.broker_starts();
    });
    some(w, weather.azkaban_restarts, |w| async move {
        if !w.azkaban.up.get() {
            return;
        }
        azkaban::stop(&w);
        let pause = w.skewed(1_000, 600_000);
        w.clock.sleep(pause).await;
        azkaban::start(&w);
    });
    some(w, weather.outages, |w| async move {
        let time = w.skewed(10_000, 45 * 60_000);
        tell!(w, "azkaban: its database hangs for {} s", time / 1_000);
        w.azkaban.hangs_until.set(w.now() + time);
    });
}

fn some<F: Future<Output = ()> + 'static>(w: &W, times: u64, fault: impl Fn(W) -> F) {
    for _ in 0..times {
        let (at, fault) = (w.between(0, w.weather.night), fault(Rc::clone(w)));
        let world = Rc::clone(w);
        w.clock.spawn(OUTSIDE, async move {
            world.clock.sleep(at).await;
            fault.await;
        });
    }
}

fn any_node(w: &W) -> usize {
    w.index(w.nodes.len())
}

fn long(w: &W) -> Ms {
    w.skewed(500, 20 * 60_000)
}
