//! All projects by number and name, and all schedules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, RwLock};

use flowlift_azkaban::name::fold;

use crate::state::journal::Journal;
use crate::state::project::Project;
use crate::state::schedules::Schedules;
use crate::state::{read, write};
use crate::wire::java::utf16_len;

/// Width of the column for project names.
const NAME_MAX: usize = 64;
/// Width of the column for descriptions.
pub(crate) const DESCRIPTION_MAX: usize = 2048;

/// Everything that is not a session.
#[derive(Debug, Default)]
pub(crate) struct World {
    projects: RwLock<Projects>,
    pub(crate) schedules: Schedules,
    journal: Journal,
}

#[derive(Debug, Default)]
struct Projects {
    last: i32,
    /// Deleted ones too.
    by_id: BTreeMap<i32, Arc<Project>>,
    /// Active ones, by folded name.
    by_name: HashMap<String, Arc<Project>>,
}

impl World {
    pub(crate) fn new(journal: Journal) -> Self {
        Self {
            projects: RwLock::default(),
            schedules: Schedules::new(journal.clone()),
            journal,
        }
    }

    /// Takes one back from the data file.
    pub(crate) fn restore(&self, project: Arc<Project>) {
        let mut projects = write(&self.projects);
        projects.last = projects.last.max(project.id);
        if project.read().active {
            projects.by_name.insert(fold(&project.name), Arc::clone(&project));
        }
        projects.by_id.insert(project.id, project);
    }

    /// An active project, ignoring case.
    pub(crate) fn project(&self, name: &str) -> Option<Arc<Project>> {
        read(&self.projects).by_name.get(&fold(name)).cloned()
    }

    /// A project by number, deleted ones too.
    pub(crate) fn project_by_id(&self, id: i32) -> Option<Arc<Project>> {
        read(&self.projects).by_id.get(&id).cloned()
    }

    /// Active projects by number.
    pub(crate) fn active(&self) -> Vec<Arc<Project>> {
        read(&self.projects)
            .by_id
            .values()
            .filter(|project| project.read().active)
            .cloned()
            .collect()
    }

    /// How many projects are active, and how many flows they list.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let active = self.active();
        (
            active.len(),
            active.iter().map(|project| project.read().flows.listed()).sum(),
        )
    }

    /// Creates a project, or says why not in Azkaban's words.
    pub(crate) fn create(&self, name: &str, description: &str, creator: &str) -> Result<(), String> {
        if name.trim().is_empty() {
            return Err("Project name cannot be empty.".to_owned());
        }
        if description.trim().is_empty() {
            return Err("Description cannot be empty.".to_owned());
        }
        if !name_is_allowed(name) {
            return Err("Project names must start with a letter, followed by any number of letters, digits, '-' or '_'."
                .to_owned());
        }
        let mut projects = write(&self.projects);
        let key = fold(name);
        if projects.by_name.contains_key(&key) {
            return Err("Project already exists.".to_owned());
        }
        if utf16_len(name) > NAME_MAX || utf16_len(description) > DESCRIPTION_MAX {
            return Err(format!("Insert project{name} for existing project failed. "));
        }
        projects.last += 1;
        let project = Arc::new(Project::new(
            projects.last,
            name,
            description,
            creator,
            self.journal.clone(),
        ));
        projects.by_id.insert(project.id, Arc::clone(&project));
        projects.by_name.insert(key, project);
        Ok(())
    }

    /// Deletes a project: inactive from now on, its name free again.
    ///
    /// Its flows and zips are let go at once, not at the purge: no call can read them any more.
    pub(crate) fn delete(&self, project: &Project, by: &str) {
        let mut projects = write(&self.projects);
        projects.by_name.retain(|_, known| known.id != project.id);
        by.clone_into(&mut project.write().modified_by);
        project.log(by, "DELETED", None);
        let mut state = project.write();
        state.active = false;
        state.flows = Arc::default();
        state.clean_before(project.id, i32::MAX, &BTreeSet::new());
    }
}

fn name_is_allowed(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '|' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_projects_name_is_free_and_gets_a_new_number() {
        let world = World::default();
        world.create("Team", "d", "ann").unwrap();
        assert_eq!(
            world.create("TEAM", "d", "ann"),
            Err("Project already exists.".to_owned())
        );
        let first = world.project("tEAM").unwrap();
        world.delete(&first, "ann");
        assert!(world.project("team").is_none());
        world.create("team", "d", "ann").unwrap();
        assert_eq!((first.id, world.project("Team").unwrap().id), (1, 2));
        assert!(!world.project_by_id(1).unwrap().read().active);
        assert_eq!(world.sizes(), (1, 0));
    }

    #[test]
    fn names_and_descriptions_are_refused_in_azkabans_words() {
        let world = World::default();
        let long = "x".repeat(65);
        for (name, description, words) in [
            (" ", "d", "Project name cannot be empty."),
            ("p", " ", "Description cannot be empty."),
            (
                "1p",
                "d",
                "Project names must start with a letter, followed by any number of letters, digits, '-' or '_'.",
            ),
            (
                long.as_str(),
                "d",
                &format!("Insert project{long} for existing project failed. "),
            ),
            (
                "p",
                &"x".repeat(2049),
                "Insert projectp for existing project failed. ",
            ),
        ] {
            assert_eq!(world.create(name, description, "ann"), Err(words.to_owned()));
        }
        assert_eq!(world.create("a|b-_9", &"x".repeat(2048), "ann"), Ok(()));
    }
}
