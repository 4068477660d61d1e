//! A Flow 1.0 project.
use super::Finding;
use crate::model::Tree;
pub(super) fn check(_tree: &Tree, _findings: &mut Vec<Finding>) {}
