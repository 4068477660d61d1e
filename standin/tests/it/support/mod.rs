//! A small HTTP client that shows every byte, and an Azkaban to talk to.

pub(crate) mod azkaban;
pub(crate) mod http;
pub(crate) mod running;
pub(crate) mod schedules;
pub(crate) mod wait;
pub(crate) mod zips;
