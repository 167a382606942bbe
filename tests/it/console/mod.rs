//! The console from outside, as a browser meets it: who gets in, for how long, from which page, and what is shown to whom.
//! A new page gets its line in `pages.rs`, and in `tests/browser/pages.mjs`; a new form is tried in `forms.rs` without its
//! token and from a foreign page.

mod accounts;
mod assets;
mod browser;
mod devices;
mod editor;
mod forms;
mod in_a_browser;
mod kept;
mod keys;
mod late;
mod log;
mod log_in;
#[cfg(feature = "oidc")]
mod openid;
mod operator;
mod pages;
mod people;
mod perks;
mod picture;
mod picture_counts;
mod races;
mod reports;
mod rules;
mod second_factor;
mod sessions;
mod steps;
mod today;
mod transport;
mod verify;
mod waiting;
