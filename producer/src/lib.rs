//! flowlift: checks flows, queues them, and says what became of them.
//!
//! The road of a publishing: [`source`] gives changes one by one, [`check`] looks at all of them, [`publish`] sends them,
//! [`wait`] reads what became of them; [`dead`] is for what could not be
//! applied; [`runs`], [`show`] and [`report`] look back. Pure: [`template`], [`units`], [`check`], [`words`], [`table`], [`when`]. [`command`] puts the
//! parts together; only `main` decides the exit code.

pub mod check;
pub mod cli;
pub mod command;
pub mod confirm;
pub mod dead;
pub mod doctor;
pub mod exit;
pub mod metrics;
pub mod prepare;
pub mod publish;
pub mod readback;
pub mod report;
pub mod reporter;
pub mod runs;
pub mod show;
pub mod source;
pub mod status;
pub mod steer;
pub mod table;
pub mod template;
pub mod units;
pub mod verify;
pub mod wait;
pub mod when;
pub mod words;
