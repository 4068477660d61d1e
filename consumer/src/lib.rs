//! The consumer: gathers what waits for a project, plans it on the project's present content, uploads once, reads it back.
//!
//! Pure rooms: [`plan`], [`project`] (the heart), [`base`], [`rendezvous`]. Shell rooms carry actions out and feed answers back:
//! [`session`] holds one connection to RabbitMQ, [`floor`] the projects in hand, [`hands`] the calls to Azkaban.

pub mod app;
pub mod attempts;
pub mod base;
pub mod config;
pub mod floor;
pub mod hands;
pub mod held;
pub mod http;
pub mod members;
pub mod metrics;
pub mod names;
pub mod permits;
pub mod plan;
pub mod project;
pub mod rendezvous;
pub mod session;
pub mod settle;
pub mod shards;
pub mod work;
