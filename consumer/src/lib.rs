//! The consumer: gathers what waits for a project, plans it on the project's present content, uploads once, reads it back.
//!
//! Pure rooms: [`base`], [`plan`], [`prepare`], [`pack`], [`project`] (the heart), [`judge`], [`schedules`], [`account`],
//! [`breaker`], [`rendezvous`], [`trail`]. Shell rooms carry actions out and feed answers back:
//! [`session`] holds one connection to RabbitMQ, [`floor`] the projects in hand, [`hands`] the calls to Azkaban.

pub mod account;
pub mod app;
pub mod attempts;
pub mod base;
pub mod breaker;
pub mod config;
pub mod fetching;
pub mod floor;
pub mod hands;
pub mod held;
pub mod http;
pub mod judge;
pub mod lease;
pub mod looks;
pub mod members;
pub mod metrics;
pub mod names;
pub mod pack;
pub mod parked;
pub mod permits;
pub mod plan;
pub mod prepare;
pub mod probe;
pub mod project;
pub mod rates;
pub mod rendezvous;
pub mod schedules;
pub mod session;
pub mod settle;
pub mod shards;
pub mod trail;
pub mod waiting;
pub mod work;
