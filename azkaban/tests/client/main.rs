//! The client against a server in this process that gives single canned answers.
#![cfg(feature = "client")]

mod fake;
mod secrets;
mod sessions;
mod transfer;
mod wire;
