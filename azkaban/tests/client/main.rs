//! The client against a server in this process that gives single canned answers.
#![cfg(feature = "client")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod fake;
mod secrets;
mod sessions;
mod transfer;
mod wire;
