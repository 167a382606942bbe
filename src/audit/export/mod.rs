//! Exports: a log or a period of it as a file that proves itself.

pub mod record;
