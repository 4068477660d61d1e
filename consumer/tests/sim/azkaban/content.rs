//! An uploaded zip, as a tree, and what Azkaban makes of it: our own loader, and mistakes that only the server finds.

use std::collections::BTreeSet;
use std::rc::Rc;

use flowlift_azkaban::client::{ClientError, InstallCause};
use flowlift_azkaban::{Format, Load, Tree, load};
use flowlift_common::manifest::{self, Manifest};

/// The property by which a flow is bad for the server alone; its value says in which way.
pub(crate) const POISON: &str = "server.poison";

/// In which way Azkaban refuses a flow that our checks accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    /// The validator names it.
    Named,
    /// The validator names nobody.
    Mute,
    /// It is found while the project is being stored: a version is burnt, the flow is named.
    Storing,
}

impl Poison {
    /// The value of [`POISON`].
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Mute => "mute",
            Self::Storing => "storing",
        }
    }
}

/// A zip's content; made once per upload.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) tree: Tree,
    pub(crate) load: Load,
    poison: Vec<(String, Poison)>,
}

/// So many problems fit into the validator's text (4,000 characters on a real one).
const TOLD: usize = 3;

impl Content {
    /// Reads a tree.
    pub(crate) fn of(tree: Tree) -> Rc<Self> {
        let load = load(&tree);
        let poison = tree.iter().filter_map(|(path, bytes)| poison_in(path, bytes));
        Rc::new(Self {
            poison: poison.collect(),
            load,
            tree,
        })
    }

    /// The version that our hidden file in it says it was made from.
    pub(crate) fn built_on(&self) -> Option<u32> {
        let manifest = Manifest::read(self.tree.get(manifest::PATH)?).ok()?;
        manifest.base.map(|base| base.version)
    }

    /// The flows it makes; none if it is refused.
    pub(crate) fn listed(&self) -> BTreeSet<String> {
        match &self.load {
            Load::Flows(loaded) => loaded.listed().into_iter().map(str::to_owned).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Its format, if it makes any flow.
    pub(crate) fn format(&self) -> Option<Format> {
        match &self.load {
            Load::Flows(loaded) if !loaded.flows.is_empty() => Some(loaded.format),
            _ => None,
        }
    }

    /// Why the server's loader and validator refuse it.
    pub(crate) fn refusal(&self) -> Option<ClientError> {
        let mut problems: Vec<String> = match &self.load {
            Load::Flows(_) => Vec::new(),
            Load::Refused(problems) => problems.iter().map(|one| one.message.clone()).collect(),
            Load::Exception(problem) => {
                return Some(install_failed(&problem.message, None));
            }
            Load::StackOverflow => return Some(ClientError::StackOverflow),
        };
        for (flow, poison) in &self.poison {
            match poison {
                Poison::Named => problems.push(format!(
                    "{flow}: Xmx value has exceeded the allowed limit (max Xmx = 2G)"
                )),
                Poison::Mute => problems.push("Cyclical dependency found at a>>b".to_owned()),
                Poison::Storing => {}
            }
        }
        let cut = problems.len() > TOLD;
        if cut {
            problems.truncate(TOLD);
            if let Some(last) = problems.last_mut() {
                last.truncate(1);
            }
        }
        (!problems.is_empty()).then(|| ClientError::Refused {
            text: problems.join("<br>"),
            problems,
            cut,
        })
    }

    /// The flow that cannot be stored.
    pub(crate) fn cannot_store(&self) -> Option<&str> {
        let found = self.poison.iter().find(|(_, poison)| *poison == Poison::Storing);
        found.map(|(flow, _)| flow.as_str())
    }
}

/// `Installation Failed.` with these words.
pub(crate) fn install_failed(words: &str, version_in_answer: Option<u32>) -> ClientError {
    ClientError::InstallFailed {
        text: format!("Installation Failed.<br>{words}"),
        problems: vec![words.to_owned()],
        cut: false,
        cause: InstallCause::of(words),
        version_in_answer,
    }
}

fn poison_in(path: &str, bytes: &[u8]) -> Option<(String, Poison)> {
    if !path.ends_with(".job") && !path.ends_with(".flow") {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, after) = text.split_once(POISON)?;
    let word = after.trim_start_matches(['=', ':', ' ', '"', '\'']);
    let kind = [Poison::Named, Poison::Mute, Poison::Storing]
        .into_iter()
        .find(|kind| word.starts_with(kind.word()))?;
    let name = path.rsplit_once('.').map_or(path, |(name, _)| name);
    let flow = name.split('~').next().unwrap_or(name);
    Some((flow.to_owned(), kind))
}
