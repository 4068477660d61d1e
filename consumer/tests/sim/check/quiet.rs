//! The system goes quiet: when all is settled, next to nothing happens.

use crate::world::World;

/// Requests to Azkaban that later looks at doubtful uploads may cost, per project.
const LOOKS: u64 = 30;

/// Judges the quiet time; `before` is the number of requests when it began.
pub(crate) fn judge(w: &World, before: u64) -> Vec<String> {
    let asked = w.azkaban.requests.get() - before;
    let allowed = LOOKS * w.weather.projects as u64;
    if asked > allowed {
        return vec![format!("{asked} requests to Azkaban while there was nothing to do")];
    }
    Vec::new()
}
