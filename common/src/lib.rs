//! The words all Flowlift programs share.
//!
//! Pure: [`order`], [`change`], [`envelope`], [`parts`], [`topology`], [`ledger`], [`manifest`], [`seen`], [`steer`], [`state`], [`ranges`], [`fold`], [`backoff`]. Shell: [`amqp`] (the only
//! place that opens connections to RabbitMQ), [`config`], [`telemetry`], [`trace`], [`shutdown`].

pub mod amqp;
pub mod backoff;
pub mod change;
pub mod config;
pub mod envelope;
pub mod fold;
pub mod ledger;
pub mod manifest;
pub mod order;
pub mod parts;
pub mod ranges;
pub mod seen;
pub mod shutdown;
pub mod state;
pub mod steer;
pub mod telemetry;
pub mod topology;
pub mod trace;

pub use change::{Act, Body, Change, Content, Pattern, Schedule, Unit, Upsert};
pub use envelope::Envelope;
pub use order::{Order, RunId};
pub use seen::Seen;
