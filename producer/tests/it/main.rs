//! The program as people call it: the real binary, its words and its exit codes.

mod bad_input;
mod bad_settings;
mod person;
mod publish;
mod stdout;
