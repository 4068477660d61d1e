//! A flow read back from files into the model, so that it can be written in the other format.

use crate::load::{Load, Loaded, load};
use crate::model::{Flow, Format, Tree};
use crate::{flow1, flow2};

/// Why a flow cannot be read into the model without loss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lossy {
    /// The project as a whole is not accepted by Azkaban.
    #[error("the project cannot be loaded: {message}")]
    Refused {
        /// Azkaban's words.
        message: String,
    },
    /// The project is written in the other format.
    #[error("the project is Flow {found}, not Flow {expected}")]
    Format {
        /// As the loader takes it.
        found: Format,
        /// As asked for.
        expected: Format,
    },
    /// No such flow.
    #[error("flow {flow:?} is not in the project")]
    Missing {
        /// The id asked for.
        flow: String,
    },
    /// Something the model has no words for.
    #[error("flow {flow:?} cannot be rewritten: {reason}")]
    Loss {
        /// The flow's id.
        flow: String,
        /// What would be lost, a full clause.
        reason: String,
    },
}

/// Reads one flow of a project, the way it behaves in Azkaban.
///
/// Refused is what only one format can say, or what belongs to more than this flow: embedded flows, triggers, inherited
/// `.properties`, a job file that other flows use too.
pub fn lift(tree: &Tree, format: Format, flow: &str) -> Result<Flow, Lossy> {
    let loaded = match load(tree) {
        Load::Flows(loaded) => loaded,
        Load::Refused(problems) => {
            let message = problems
                .into_iter()
                .map(|problem| problem.message)
                .collect::<Vec<_>>()
                .join("; ");
            return Err(Lossy::Refused { message });
        }
        Load::Exception(problem) => {
            return Err(Lossy::Refused {
                message: problem.message,
            });
        }
        Load::StackOverflow => {
            return Err(Lossy::Refused {
                message: "a cycle behind a start node".to_owned(),
            });
        }
    };
    if loaded.format != format {
        return Err(Lossy::Format {
            found: loaded.format,
            expected: format,
        });
    }
    lift_loaded(tree, &loaded, flow)
}

/// As [`lift`], of a tree that is loaded already: for many flows of one project.
pub fn lift_loaded(tree: &Tree, loaded: &Loaded, flow: &str) -> Result<Flow, Lossy> {
    let Some(found) = loaded.flows.get(flow) else {
        return Err(Lossy::Missing {
            flow: flow.to_owned(),
        });
    };
    let lifted = match loaded.format {
        Format::V1 => flow1::lift(flow, found),
        Format::V2 => flow2::lift(flow, found, tree),
    };
    lifted.map_err(|reason| Lossy::Loss {
        flow: flow.to_owned(),
        reason,
    })
}
