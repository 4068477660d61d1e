//! All that is known about Azkaban: its names and limits, both flow formats read and written, the loader that says what
//! an upload would list, and (feature `client`) an HTTP client whose answers are types.
//!
//! Everything but [`client`] is pure. The stand-in uses the same loader, so what it lists is what we predict.

pub mod archive;
#[cfg(feature = "client")]
pub mod client;
pub mod cron;
mod flow1;
mod flow2;
mod graph;
mod lift;
pub mod load;
pub mod model;
pub mod name;
pub mod properties;
mod render;
pub mod rules;
#[cfg(feature = "tls")]
pub mod tls;
mod yaml;

pub use cron::{CronError, check_cron};
pub use flow2::PROJECT_FILE;
pub use lift::{Lossy, lift, lift_loaded};
pub use load::{Load, Loaded, load, outline};
pub use model::{Flow, Format, Job, Tree};
pub use name::{FlowName, NameError, ProjectName};
pub use render::{Unrenderable, render};
pub use rules::{Finding, check_flow, check_tree};
