//! Whole nodes, in one process and as processes of their own.

mod mesh;
mod support;
