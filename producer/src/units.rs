//! A project's files as changes: shared files first, then its flows, those that share job files as one unit.

use std::collections::BTreeMap;

use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{FlowName, Format, Load, Loaded, Tree, check_tree, load};
use flowlift_common::manifest;
use flowlift_common::{Act, Body, Content, Schedule, Unit, Upsert};

use crate::check::Findings;

/// The changes of a project, with the file each begins in, for messages.
pub type Acts = Vec<(Option<String>, Act)>;

/// Makes changes of a project's files. `name` is what the person called the source, `into` a folder of the project.
pub fn acts(tree: &Tree, name: &str, into: Option<&str>, schedule: &Schedule) -> Result<Acts, Findings> {
    let tree: Tree = tree
        .iter()
        .filter(|(path, _)| *path != manifest::PATH)
        .map(|(path, content)| (path.clone(), content.clone()))
        .collect();
    let mut findings = Findings::default();
    for finding in check_tree(&tree) {
        findings.add(under(name, finding));
    }
    let Load::Flows(loaded) = load(&tree) else {
        if findings.is_empty() {
            findings.add(whole(name, "Azkaban would refuse this project"));
        }
        return Err(findings);
    };
    if findings.is_empty() && loaded.flows.is_empty() {
        findings.add(whole(name, "there are no flows in it"));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    group(&tree, &loaded, name, into, schedule)
}

fn group(
    tree: &Tree,
    loaded: &Loaded,
    name: &str,
    into: Option<&str>,
    schedule: &Schedule,
) -> Result<Acts, Findings> {
    let place = |path: &str| into.map_or_else(|| path.to_owned(), |folder| format!("{folder}/{path}"));
    let mut findings = Findings::default();
    let mut acts: Acts = Vec::new();
    let members = members(loaded);
    let owned: BTreeMap<&str, ()> = loaded
        .flows
        .values()
        .flat_map(|flow| &flow.files)
        .map(|path| (path.as_str(), ()))
        .collect();
    for (path, content) in tree {
        if owned.contains_key(path.as_str()) || is_project_file(path, loaded.format) {
            continue;
        }
        let act = Act::PutFile {
            path: place(path),
            content: Content(content.clone()),
        };
        acts.push((Some(format!("{name}/{path}")), act));
    }
    for ids in members {
        let mut files = BTreeMap::new();
        let mut flows = Vec::new();
        for id in &ids {
            match FlowName::new(*id) {
                Ok(flow) => flows.push(flow),
                Err(error) => findings.add(whole(name, &error.to_string())),
            }
            for path in loaded.paths_of(id) {
                if let Some(content) = tree.get(path) {
                    files.insert(place(path), Content(content.clone()));
                }
            }
        }
        let first = loaded
            .paths_of(ids[0])
            .into_iter()
            .next()
            .map(|path| format!("{name}/{path}"));
        let unit = Unit {
            format: loaded.format,
            flows,
            files,
        };
        let act = Act::Upsert(Upsert {
            body: Body::Unit(unit),
            schedule: schedule.clone(),
        });
        acts.push((first, act));
    }
    if findings.is_empty() {
        Ok(acts)
    } else {
        Err(findings)
    }
}

/// Flows that share files, directly or through others, together; each group and all groups by name.
fn members(loaded: &Loaded) -> Vec<Vec<&str>> {
    let ids: Vec<&str> = loaded.flows.keys().map(String::as_str).collect();
    let mut parent: Vec<usize> = (0..ids.len()).collect();
    let mut user: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, id) in ids.iter().enumerate() {
        for path in loaded.paths_of(id) {
            let other = *user.entry(path).or_insert(at);
            let (a, b) = (root(&mut parent, at), root(&mut parent, other));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (at, id) in ids.iter().enumerate() {
        groups.entry(root(&mut parent, at)).or_default().push(id);
    }
    groups.into_values().collect()
}

fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

/// The consumer writes the `.project` file of a Flow 2.0 project itself.
fn is_project_file(path: &str, format: Format) -> bool {
    format == Format::V2 && path.ends_with(".project")
}

fn under(name: &str, finding: Finding) -> Finding {
    let path = finding
        .path
        .map_or_else(|| name.to_owned(), |path| format!("{name}/{path}"));
    Finding {
        path: Some(path),
        ..finding
    }
}

fn whole(name: &str, message: &str) -> Finding {
    Finding {
        path: Some(name.to_owned()),
        line: None,
        field: None,
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned().into()))
            .collect()
    }

    fn units(acts: &Acts) -> Vec<(Vec<String>, Vec<String>)> {
        let unit = |act: &Act| match act {
            Act::Upsert(Upsert {
                body: Body::Unit(unit),
                ..
            }) => Some((
                unit.flows.iter().map(ToString::to_string).collect(),
                unit.files.keys().cloned().collect(),
            )),
            _ => None,
        };
        acts.iter().filter_map(|(_, act)| unit(act)).collect()
    }

    #[test]
    fn flows_that_share_a_job_are_one_unit_and_other_files_come_first() {
        let tree = tree(&[
            ("a.job", "type=noop\ndependencies=shared\n"),
            ("b.job", "type=noop\ndependencies=shared\n"),
            ("c.job", "type=noop\n"),
            ("common.properties", "x=1\n"),
            ("lib/run.sh", "echo\n"),
            ("shared.job", "type=noop\n"),
        ]);
        let acts = acts(&tree, "dir", Some("team"), &Schedule::Keep).unwrap();
        let labels: Vec<String> = acts.iter().map(|(_, act)| act.label()).collect();
        assert_eq!(
            labels,
            ["file team/common.properties", "file team/lib/run.sh", "a, b", "c"]
        );
        let files: Vec<_> = units(&acts).into_iter().map(|(_, files)| files).collect();
        assert_eq!(
            files,
            [
                vec!["team/a.job", "team/b.job", "team/shared.job"],
                vec!["team/c.job"]
            ]
        );
    }

    #[test]
    fn mistakes_are_told_below_the_name_the_person_gave() {
        let tree = tree(&[
            ("a.job", "type=noop\ndependencies=nope\n"),
            ("b.job", "command=x\n"),
        ]);
        let text = acts(&tree, "dir", None, &Schedule::Keep).unwrap_err().to_string();
        assert!(
            text.starts_with("dir/a.job:2: dependencies: job \"a\" depends on \"nope\""),
            "{text}"
        );
        assert!(text.contains("dir/b.job: type: job \"b\" has no type"), "{text}");
        assert!(text.ends_with("2 mistakes; nothing was queued"), "{text}");
    }

    #[test]
    fn a_folder_without_flows_is_refused() {
        let text = acts(&tree(&[("README", "x")]), "dir", None, &Schedule::Keep)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("dir: there are no flows in it"), "{text}");
    }

    proptest! {
        #[test]
        fn no_file_is_lost_or_sent_twice(edges in prop::collection::btree_set((0usize..12, 0usize..12), 0..14)) {
            let mut files = Tree::new();
            for job in 0..12 {
                // edges lead to higher numbers only: no circles
                let needs: Vec<String> =
                    edges.iter().filter(|(a, b)| *a == job && b > a).map(|(_, b)| format!("j{b}")).collect();
                let text = format!("type=noop\ndependencies={}\n", needs.join(","));
                files.insert(format!("j{job}.job"), text.into());
            }
            let acts = acts(&files, "d", None, &Schedule::Keep).unwrap();
            let mut sent: Vec<String> = units(&acts).into_iter().flat_map(|(_, files)| files).collect();
            sent.sort();
            prop_assert_eq!(sent, files.keys().cloned().collect::<Vec<_>>());
        }
    }
}
