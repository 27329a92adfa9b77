//! What a run looked like, for people.

pub mod html;
