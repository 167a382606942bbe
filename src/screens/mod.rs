//! The screens' door: the pages of kiosks and walls, and the pairing of a browser. A screen is known by a cookie that no
//! script reads, and each of its calls brings the token of the page that makes it: a bearer key never enters a page.
//!
//! - `routes`: every page; `door`: the way of every request here; `caller`: which screen asks
//! - `pair`: a code becomes a screen; `kiosk`: a person asks for a perk; `wall`: how full it is
//! - `desk`: someone at a counter asks for guests; `gate`: a phone at a door
//! - `my`: the page of a person about their answer, by its link
//! - `frames`: a picture of a camera is read for a browser that can't
//! - `place`: what a screen shows of its perk; `reading`: what is scanned or typed; `assets`: styles and scripts;
//!   `messages`: what they say, by language, which `words` says where the server does
//!
//! To add a language: its file in `messages/`, and its line in `messages.rs`; a test refuses it until it is complete.

mod assets;
mod caller;
mod desk;
mod door;
mod frames;
mod gate;
mod kiosk;
mod messages;
mod my;
mod pair;
mod place;
mod reading;
mod routes;
mod wall;
mod words;

pub use routes::mount;
