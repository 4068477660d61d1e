//! A Flow 2.0 project.
use super::Finding;
use crate::model::Tree;
pub(super) fn check(_tree: &Tree, _findings: &mut Vec<Finding>) {}
