//! Which of the kept versions ever became active.
//!
//! Azkaban writes UPLOADED with the file name last, after the install; a failed one leaves a version without such a line
//! (azkaban-api.md 2.7). Versions and lines have the same order, so they are laid side by side from the newest on. Names of
//! ours are unique; people use one name again and again, and then it can be open which of two is meant.

/// A kept version, as much as is needed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<'v> {
    /// Its number.
    pub number: u32,
    /// The file name it was uploaded under.
    pub file_name: &'v str,
    /// Whether it is exactly what a consumer of ours uploaded under this name.
    pub ours: bool,
    /// The version it says it was built on, if it is ours.
    pub base: Option<u32>,
}

/// What the log says about the kept versions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landed {
    /// Numbers of those that landed, ascending.
    pub numbers: Vec<u32>,
    /// Others of the same name as the newest landed one, of which any may be the active one instead; ascending.
    pub or_one_of: Vec<u32>,
}

/// Lays versions (newest first) beside the file names of the log's UPLOADED lines (newest first).
#[must_use]
pub fn landed(kept: &[Kept<'_>], uploaded: &[&str]) -> Landed {
    let mut numbers: Vec<u32> = Vec::new();
    let mut or_one_of = Vec::new();
    let mut lines = uploaded;
    let mut rest = kept;
    while let (Some(version), Some((line, older))) = (rest.first(), lines.split_first()) {
        if version.file_name != *line {
            rest = &rest[1..];
            continue;
        }
        // a run of one name among the versions, and how many lines are for it
        let same = rest.iter().take_while(|kept| kept.file_name == *line).count();
        let told = lines.iter().take_while(|other| *other == line).count().min(same);
        let (group, after) = rest.split_at(same);
        let mut chosen: Vec<u32> = Vec::new();
        // what a version of ours was built on has landed
        let built_on = |number: u32| kept.iter().any(|newer| newer.base == Some(number));
        chosen.extend(
            group
                .iter()
                .map(|kept| kept.number)
                .filter(|n| built_on(*n))
                .take(told),
        );
        // a person who uploads under a name of ours has it from a download of ours: that one came first
        let (ours, others): (Vec<_>, Vec<_>) = group.iter().partition(|kept| kept.ours);
        for kept in ours.into_iter().chain(others) {
            if chosen.len() < told && !chosen.contains(&kept.number) {
                chosen.push(kept.number);
            }
        }
        if numbers.is_empty() && told < same {
            or_one_of = group
                .iter()
                .map(|kept| kept.number)
                .filter(|n| !chosen.contains(n))
                .collect();
            or_one_of.sort_unstable();
        }
        numbers.extend(chosen);
        rest = after;
        lines = if told == 0 { older } else { &lines[told..] };
    }
    numbers.sort_unstable();
    Landed { numbers, or_one_of }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept<'v>(versions: &[(u32, &'v str, Option<u32>)]) -> Vec<Kept<'v>> {
        let kept = |(number, file_name, base): &(u32, &'v str, Option<u32>)| Kept {
            number: *number,
            file_name,
            ours: base.is_some(),
            base: *base,
        };
        versions.iter().map(kept).collect()
    }

    #[test]
    fn a_version_without_a_line_never_became_active() {
        let kept = kept(&[(9, "c", None), (8, "b", None), (7, "a", None)]);
        assert_eq!(landed(&kept, &["b", "a", "z"]).numbers, [7, 8]);
        assert_eq!(landed(&kept, &["c", "a"]).numbers, [7, 9]);
        assert_eq!(landed(&kept, &["z"]).numbers, [] as [u32; 0]);
        assert_eq!(landed(&kept, &["c", "b", "a"]).or_one_of, [] as [u32; 0]);
    }

    #[test]
    fn of_two_with_one_name_and_one_line_it_is_open_which_is_active() {
        let kept = kept(&[(9, "p", None), (8, "p", None), (7, "a", None)]);
        let found = landed(&kept, &["p", "a"]);
        assert_eq!((found.numbers, found.or_one_of), (vec![7, 9], vec![8]));
        let both = landed(&kept, &["p", "p", "a"]);
        assert_eq!((both.numbers, both.or_one_of), (vec![7, 8, 9], vec![]));
    }

    #[test]
    fn what_a_later_one_of_ours_was_built_on_has_landed() {
        let kept = kept(&[
            (9, "ours", Some(7)),
            (8, "p", None),
            (7, "p", None),
            (6, "a", None),
        ]);
        assert_eq!(landed(&kept, &["ours", "p", "a"]).numbers, [6, 7, 9]);
    }

    #[test]
    fn of_two_with_a_name_of_ours_the_one_that_we_made_landed_first() {
        let kept = kept(&[(9, "ours", None), (8, "ours", Some(7)), (7, "a", None)]);
        let found = landed(&kept, &["ours", "a"]);
        assert_eq!((found.numbers, found.or_one_of), (vec![7, 8], vec![9]));
    }

    #[test]
    fn a_refused_upload_of_an_old_name_is_not_taken_for_the_old_one() {
        let kept = kept(&[(9, "p", None), (8, "ours", None), (7, "p", None)]);
        assert_eq!(landed(&kept, &["ours", "p"]).numbers, [7, 8]);
    }
}
