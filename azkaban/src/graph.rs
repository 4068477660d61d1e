//! Dependencies between a flow's jobs: its ends and its cycles.

use std::collections::{BTreeSet, HashMap};

use crate::model::Job;

/// The jobs no other depends on, in their order.
pub(crate) fn ends(jobs: &[Job]) -> Vec<&Job> {
    let needed: BTreeSet<&str> = jobs
        .iter()
        .flat_map(|job| job.depends_on.iter().map(String::as_str))
        .collect();
    jobs.iter()
        .filter(|job| !needed.contains(job.name.as_str()))
        .collect()
}

/// One cycle per knot of jobs that need each other, as the way round: `a`, `b`, `a` when a needs b and b needs a.
///
/// `needs[n]` are the places of what `n` depends on.
pub(crate) fn cycles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut state = vec![State::New; needs.len()];
    let mut found = Vec::new();
    for start in 0..needs.len() {
        if state[start] != State::New {
            continue;
        }
        let mut path = vec![start];
        let mut next = vec![0];
        state[start] = State::OnPath;
        while let (Some(&node), Some(at)) = (path.last(), next.last_mut()) {
            let Some(&to) = needs[node].get(*at) else {
                state[node] = State::Done;
                path.pop();
                next.pop();
                continue;
            };
            *at += 1;
            match state[to] {
                State::Done => {}
                State::New => {
                    state[to] = State::OnPath;
                    path.push(to);
                    next.push(0);
                }
                State::OnPath => {
                    let from = path.iter().position(|one| *one == to).unwrap_or_default();
                    let mut cycle = path[from..].to_vec();
                    cycle.push(to);
                    found.push(cycle);
                }
            }
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    OnPath,
    Done,
}

/// The longest row of jobs that wait for each other: its last job and how many they are; `None` where there is a circle.
pub(crate) fn longest_row(needs: &[Vec<usize>]) -> Option<(usize, usize)> {
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut needed_by = vec![Vec::new(); needs.len()];
    for (job, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|needed| needed_by[*needed].push(job));
    }
    let mut length = vec![1; needs.len()];
    let mut ready: Vec<usize> = (0..needs.len()).filter(|job| waiting[*job] == 0).collect();
    let mut done = 0;
    while let Some(job) = ready.pop() {
        done += 1;
        for &next in &needed_by[job] {
            length[next] = length[next].max(length[job] + 1);
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(next);
            }
        }
    }
    let longest = length
        .iter()
        .copied()
        .enumerate()
        .max_by_key(|(_, length)| *length);
    longest.filter(|_| done == needs.len())
}

/// Whether `from` depends on `to`, directly or not.
pub(crate) fn reaches(needs: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut met = vec![false; needs.len()];
    let mut stack = vec![from];
    while let Some(node) = stack.pop() {
        for &next in &needs[node] {
            if next == to {
                return true;
            }
            if !std::mem::replace(&mut met[next], true) {
                stack.push(next);
            }
        }
    }
    false
}

/// For each job the places of the jobs it depends on; unknown names are left out.
pub(crate) fn needs(jobs: &[Job]) -> Vec<Vec<usize>> {
    let at: HashMap<&str, usize> = jobs
        .iter()
        .enumerate()
        .map(|(place, job)| (job.name.as_str(), place))
        .collect();
    jobs.iter()
        .map(|job| {
            job.depends_on
                .iter()
                .filter_map(|name| at.get(name.as_str()).copied())
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_given_as_the_way_round() {
        assert_eq!(cycles(&[vec![1], vec![2], vec![0]]), [vec![0, 1, 2, 0]]);
        assert_eq!(cycles(&[vec![0]]), [vec![0, 0]]);
        assert!(cycles(&[vec![1, 2], vec![2], vec![]]).is_empty());
        assert_eq!(cycles(&[vec![1], vec![0], vec![3], vec![2]]).len(), 2);
    }
}
