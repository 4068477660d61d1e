//! The morning's page: what became of a run, in figures. Everything here is pure: [`collect`] takes records in, [`figures`]
//! computes, [`mod@page`] and [`csv`] write.

mod chart;
pub mod collect;
mod compare;
pub mod csv;
pub mod figures;
mod html;
pub mod latency;
pub mod page;
pub mod threshold;

pub use collect::Collect;
pub use compare::{compared, ratios_json};
pub use figures::Figures;
pub use page::page;
pub use threshold::Thresholds;
