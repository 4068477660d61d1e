//! Executions: flows that run.
//!
//! `engine`, `tree`, `condition`, `props`, `expression`, `command` are pure: which job runs next, with what, and what becomes of the
//! flow. `runner` and `job` carry it out, `process` touches the operating system, `files` the disk. `execution` is what
//! the calls see of one, `table` all of them; `submit` starts one, for a call or for a schedule (`scan`).

mod command;
pub(crate) mod condition;
pub(crate) mod engine;
pub(crate) mod execution;
mod expression;
mod files;
mod inputs;
mod job;
pub(crate) mod log;
pub(crate) mod options;
mod process;
mod props;
mod runner;
pub(crate) mod scan;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod table;
pub(crate) mod tree;

#[cfg(test)]
mod tests;

pub(crate) use files::Workshop;
