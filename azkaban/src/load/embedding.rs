//! Flow 1.0 jobs of type `flow`, which run another flow of the project: whether those exist and end somewhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::report::Report;
use super::{LoadedFlow, java};

/// A flow's id, the path of its end job, and the flows it runs, first met first.
pub(super) type Embedding<'a> = (&'a str, &'a str, Vec<String>);

/// Reports flows that are missing or run themselves.
pub(super) fn resolve(all: &[Embedding<'_>], flows: &BTreeMap<String, LoadedFlow>, report: &mut Report) {
    let mut order: Vec<&Embedding<'_>> = all.iter().collect();
    java::hash_order(&mut order, |one| java::hash_code(one.0));
    let runs: HashMap<&str, Vec<&str>> = (all.iter())
        .map(|(id, _, names)| {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            java::hash_order(&mut names, |name| java::hash_code(name));
            (*id, names)
        })
        .collect();
    let mut search = Search {
        runs: &runs,
        flows,
        sound: HashSet::new(),
    };
    for (id, path, _) in order {
        search.from(id, |message| report.add(message, Some(path), Some(id)));
    }
}

struct Search<'a> {
    runs: &'a HashMap<&'a str, Vec<&'a str>>,
    flows: &'a BTreeMap<String, LoadedFlow>,
    /// Flows below which nothing is wrong.
    sound: HashSet<&'a str>,
}

/// A flow being looked at: its id, the next flow it runs, whether all below was sound so far.
struct Frame<'a> {
    id: &'a str,
    next: usize,
    sound: bool,
}

impl<'a> Search<'a> {
    /// Looks below one flow. A flow with a fault stays marked as visited, as in Azkaban, and is then taken for a cycle.
    fn from(&mut self, start: &'a str, mut report: impl FnMut(String)) {
        let mut visited = HashSet::from([start]);
        let mut stack = vec![Frame {
            id: start,
            next: 0,
            sound: true,
        }];
        while let Some(frame) = stack.last_mut() {
            let id = frame.id;
            let Some(&name) = self.runs.get(id).and_then(|names| names.get(frame.next)) else {
                visited.remove(id);
                let sound = frame.sound;
                if sound {
                    self.sound.insert(id);
                }
                stack.pop();
                if let Some(above) = stack.last_mut() {
                    above.sound &= sound;
                }
                continue;
            };
            frame.next += 1;
            let fault = if visited.contains(name) {
                Some(format!("Embedded flow cycle found in {id}->{name}"))
            } else if !self.flows.contains_key(name) {
                Some(format!("Flow {id} depends on {name} but can't be found."))
            } else {
                None
            };
            if let Some(message) = fault {
                report(message);
                stack.pop();
                if let Some(above) = stack.last_mut() {
                    above.sound = false;
                }
            } else if self.runs.contains_key(name) && !self.sound.contains(name) {
                visited.insert(name);
                stack.push(Frame {
                    id: name,
                    next: 0,
                    sound: true,
                });
            }
        }
    }
}
