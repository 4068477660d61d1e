//! flowlift: checks flows, queues them, and says what became of them.
//!
//! The road of a publishing: [`source`] gives changes one by one, [`check`] looks at all of them, `publish` sends them,
//! `wait` reads what became of them.

pub mod check;
pub mod exit;
pub mod source;
pub mod template;
pub mod units;
