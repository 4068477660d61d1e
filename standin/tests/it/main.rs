//! The stand-in from outside, over HTTP.
//!
//! `contract` holds one test per answer of Azkaban 4.0.0. With `AZKABAN_URL` set they run against that server instead of
//! the stand-in, with their own projects of random names, which they delete: `azkaban`/`azkaban` must be an administrator
//! there and `metrics`/`metrics` a user without rights on projects, as on a fresh server. `own` tests what only the
//! stand-in has, `folders` projects of other people.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod contract;
mod folders;
mod own;
mod support;
