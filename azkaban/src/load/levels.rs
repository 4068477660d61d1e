//! The levels of a flow's jobs, which Azkaban finds by walking from the start nodes along the edges until none is left:
//! a cycle that a start node leads into never ends, and the thread's stack overflows.

/// The level at which a 4.0.0 with Java's usual stack of 1 MiB gives up: 2,000 jobs in a row were taken, 3,000 not.
const LEVELS_MAX: usize = 2_500;

/// Never ends, or ends too deep.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// The level of each node: the longest way from a start node, 0 for nodes that none leads to.
///
/// `edges` are (from, to); `has_in` tells which nodes are no start nodes, also by edges whose source is missing.
pub(super) fn levels(has_in: &[bool], edges: &[(usize, usize)]) -> Result<Vec<usize>, Overflow> {
    let count = has_in.len();
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    for &(from, to) in edges {
        out[from].push(to);
    }
    let starts = || (0..count).filter(|node| !has_in[*node]);
    let mut reached = vec![false; count];
    let mut incoming = vec![0usize; count];
    let mut stack: Vec<usize> = starts().collect();
    for &node in &stack {
        reached[node] = true;
    }
    let mut left = stack.len();
    while let Some(node) = stack.pop() {
        for &to in &out[node] {
            incoming[to] += 1;
            if !reached[to] {
                reached[to] = true;
                left += 1;
                stack.push(to);
            }
        }
    }
    let mut level = vec![0; count];
    let mut ready: Vec<usize> = starts().collect();
    while let Some(node) = ready.pop() {
        left -= 1;
        for &to in &out[node] {
            level[to] = level[to].max(level[node] + 1);
            incoming[to] -= 1;
            if incoming[to] == 0 {
                ready.push(to);
            }
        }
    }
    let too_deep = level.iter().any(|level| *level >= LEVELS_MAX);
    if left == 0 && !too_deep {
        Ok(level)
    } else {
        Err(Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_longest_way() {
        assert_eq!(
            levels(&[false, true, true], &[(0, 1), (1, 2), (0, 2)]),
            Ok(vec![0, 1, 2])
        );
        assert_eq!(levels(&[], &[]), Ok(vec![]));
    }

    #[test]
    fn a_cycle_behind_a_start_node_overflows() {
        assert_eq!(
            levels(&[false, true, true], &[(0, 1), (1, 2), (2, 1)]),
            Err(Overflow)
        );
    }

    #[test]
    fn thousands_of_jobs_in_a_row_overflow() {
        let row = |jobs: usize| {
            let edges: Vec<_> = (1..jobs).map(|to| (to - 1, to)).collect();
            levels(&(0..jobs).map(|job| job > 0).collect::<Vec<_>>(), &edges)
        };
        assert!(row(2_000).is_ok());
        assert_eq!(row(3_000), Err(Overflow));
    }

    #[test]
    fn a_cycle_without_an_entry_is_never_walked() {
        assert_eq!(levels(&[true, true], &[(0, 1), (1, 0)]), Ok(vec![0, 0]));
        assert_eq!(levels(&[true], &[(0, 0)]), Ok(vec![0]));
    }
}
