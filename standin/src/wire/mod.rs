//! The wire: what a request carries and how an answer looks. Pure; knows nothing of projects.

pub(crate) mod answer;
pub(crate) mod failure;
pub(crate) mod html;
pub(crate) mod java;
pub(crate) mod json;
pub(crate) mod multipart;
pub(crate) mod request;
pub(crate) mod urlencoded;
