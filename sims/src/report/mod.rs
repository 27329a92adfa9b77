//! What a run was like: as numbers, as a table for a terminal, as a page with plots.

mod healed;
pub mod html;
pub mod progress;
pub mod summary;
pub mod table;

pub use summary::Summary;
