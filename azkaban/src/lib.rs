//! All that is known about Azkaban: its names and limits, both flow formats read and written, the loader that says what
//! an upload would list, and (feature `client`) an HTTP client whose answers are types.
//!
//! Everything but [`client`] is pure. The stand-in uses the same loader, so what it lists is what we predict.

#[cfg(feature = "client")]
pub mod client;
pub mod model;
pub mod name;

pub use model::{Flow, Format, Job, Tree};
pub use name::{FlowName, NameError, ProjectName};
