//! The program's texts about itself: `examples` for every command's help, shell `completions`, `man` pages.

pub(crate) mod completions;
pub(crate) mod examples;
pub(crate) mod man;
