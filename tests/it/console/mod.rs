//! The console from outside, as a browser meets it: who gets in, for how long, from which page, and what is shown to whom.
//! A new page gets its line in `pages.rs`; a new form is tried in `forms.rs` without its token and from a foreign page.

mod accounts;
mod assets;
mod browser;
mod forms;
mod kept;
mod keys;
mod log_in;
mod operator;
mod pages;
mod people;
mod perks;
mod picture;
mod races;
mod reports;
mod rules;
mod second_factor;
mod sessions;
mod transport;
