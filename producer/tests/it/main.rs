//! The program as people call it: the real binary, its words and its exit codes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails there, and says when it is skipped"
)]

mod bad_input;
mod bad_settings;
mod broken_off;
mod consumer;
mod dead;
mod dead_input;
mod doctor;
mod editor;
mod healing;
mod notify;
mod parts;
mod patience;
mod person;
mod publish;
mod readback;
mod repair;
mod report;
mod rights;
mod runs;
mod secrets;
mod show;
mod status;
mod stdout;
mod steer;
mod tls;
mod trimmed;
mod vhost;
mod wire;
