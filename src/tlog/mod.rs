//! tlog

pub mod merkle;
pub mod note;
pub mod tree;
