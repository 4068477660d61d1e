//! The consumer: gathers what waits for a project, plans it on the project's present content, uploads once, reads it back.
//!
//! Pure rooms: [`plan`], [`project`] (the heart), [`base`]. Shell rooms carry actions out and feed answers back.

pub mod attempts;
pub mod base;
pub mod names;
pub mod permits;
pub mod plan;
pub mod project;
pub mod rendezvous;
