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

/// An UPLOADED line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'l> {
    /// The file name in it.
    pub file: &'l str,
    /// Whether our own user uploaded it; people may have the same.
    pub by_us: bool,
}

/// Lays versions (newest first) beside the log's lines (newest first). `active`: it is known to be this one, so that none
/// above it landed.
#[must_use]
pub fn landed(kept: &[Kept<'_>], uploaded: &[Line<'_>], active: Option<u32>) -> Landed {
    let mut numbers: Vec<u32> = Vec::new();
    let above = kept
        .iter()
        .take_while(|one| active.is_some_and(|active| one.number > active));
    let mut rest = &kept[above.count()..];
    let mut lines = uploaded;
    while let (Some(version), Some(line)) = (rest.first(), lines.first()) {
        if version.file_name != line.file {
            rest = &rest[1..];
            continue;
        }
        // a run of one name among the versions, and the lines that are for it
        let same = rest.iter().take_while(|kept| kept.file_name == line.file).count();
        let told = lines.iter().take_while(|other| other.file == line.file).count();
        let (group, after) = rest.split_at(same);
        let (told, older) = lines.split_at(told.min(same));
        let by_us = told.iter().filter(|line| line.by_us).count();
        numbers.extend(choose(kept, group, told.len(), by_us, active));
        (rest, lines) = (after, older);
    }
    numbers.sort_unstable();
    let or_one_of = match active {
        None => others(kept, uploaded, &numbers),
        Some(_) => Vec::new(),
    };
    Landed { numbers, or_one_of }
}

/// Of several with one name (newest first), the likeliest that `told` lines are about: what a later one of ours was built on;
/// what we made, for people have the name of an upload of ours only from a download of it, and so uploaded after it; the newest.
fn choose(kept: &[Kept<'_>], group: &[Kept<'_>], told: usize, by_us: usize, active: Option<u32>) -> Vec<u32> {
    let built_on = |one: &&Kept<'_>| kept.iter().any(|newer| newer.base == Some(one.number));
    let ours = || group.iter().filter(|one| one.ours);
    let likeliest = (group.iter().filter(|one| Some(one.number) == active))
        .chain(group.iter().filter(built_on))
        .chain(ours().take(by_us))
        .chain(group.iter().filter(|one| !one.ours))
        .chain(ours());
    let mut chosen = Vec::new();
    for one in likeliest {
        if chosen.len() < told && !chosen.contains(&one.number) {
            chosen.push(one.number);
        }
    }
    chosen
}

/// Those that the newest line may be about instead of the newest that landed: where it is not ours for certain, and of the
/// versions with its name there are more than landed.
fn others(kept: &[Kept<'_>], uploaded: &[Line<'_>], numbers: &[u32]) -> Vec<u32> {
    let newest = kept.iter().find(|one| Some(&one.number) == numbers.last());
    let (Some(newest), Some(line)) = (newest, uploaded.first()) else {
        return Vec::new();
    };
    if newest.ours && line.by_us {
        return Vec::new();
    }
    let may_be = |one: &&Kept<'_>| one.file_name == line.file && (line.by_us || !one.ours);
    if kept
        .iter()
        .filter(may_be)
        .all(|one| numbers.contains(&one.number))
    {
        return Vec::new();
    }
    let others = kept.iter().filter(may_be).map(|one| one.number);
    let mut others: Vec<u32> = others.filter(|number| *number != newest.number).collect();
    others.sort_unstable();
    others
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

    fn lines<'l>(files: &[&'l str]) -> Vec<Line<'l>> {
        files.iter().map(|file| Line { file, by_us: true }).collect()
    }

    #[test]
    fn a_version_without_a_line_never_became_active() {
        let kept = kept(&[(9, "c", None), (8, "b", None), (7, "a", None)]);
        assert_eq!(landed(&kept, &lines(&["b", "a", "z"]), None).numbers, [7, 8]);
        assert_eq!(landed(&kept, &lines(&["c", "a"]), None).numbers, [7, 9]);
        assert_eq!(landed(&kept, &lines(&["z"]), None).numbers, [] as [u32; 0]);
        assert_eq!(
            landed(&kept, &lines(&["c", "b", "a"]), None).or_one_of,
            [] as [u32; 0]
        );
    }

    #[test]
    fn of_two_with_one_name_and_one_line_it_is_open_which_is_active() {
        let kept = kept(&[(9, "p", None), (8, "p", None), (7, "a", None)]);
        let found = landed(&kept, &lines(&["p", "a"]), None);
        assert_eq!((found.numbers, found.or_one_of), (vec![7, 9], vec![8]));
        let both = landed(&kept, &lines(&["p", "p", "a"]), None);
        assert_eq!((both.numbers, both.or_one_of), (vec![7, 8, 9], vec![]));
    }

    #[test]
    fn a_line_may_be_about_an_older_one_of_its_name() {
        let kept = kept(&[(9, "p", None), (8, "p", None), (7, "ours", None), (6, "p", None)]);
        let two = lines(&["p", "p"]);
        let found = landed(&kept, &two, None);
        assert_eq!((found.numbers, found.or_one_of), (vec![8, 9], vec![6, 8]));
        assert_eq!(landed(&kept, &two, Some(8)).numbers, [6, 8]);
    }

    #[test]
    fn what_a_later_one_of_ours_was_built_on_has_landed() {
        let kept = kept(&[
            (9, "ours", Some(7)),
            (8, "p", None),
            (7, "p", None),
            (6, "a", None),
        ]);
        assert_eq!(
            landed(&kept, &lines(&["ours", "p", "a"]), None).numbers,
            [6, 7, 9]
        );
    }

    #[test]
    fn of_two_with_a_name_of_ours_the_one_that_we_made_landed_first_if_the_line_is_ours() {
        let kept = kept(&[(9, "ours", None), (8, "ours", Some(7)), (7, "a", None)]);
        let found = landed(&kept, &lines(&["ours", "a"]), None);
        assert_eq!((found.numbers, found.or_one_of), (vec![7, 8], vec![]));
        let mut lines = lines(&["ours", "a"]);
        lines[0].by_us = false;
        let found = landed(&kept, &lines, None);
        assert_eq!((found.numbers, found.or_one_of), (vec![7, 9], vec![]));
    }

    #[test]
    fn a_refused_upload_of_an_old_name_is_not_taken_for_the_old_one() {
        let kept = kept(&[(9, "p", None), (8, "ours", None), (7, "p", None)]);
        assert_eq!(landed(&kept, &lines(&["ours", "p"]), None).numbers, [7, 8]);
    }
}
