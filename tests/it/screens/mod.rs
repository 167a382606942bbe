//! The screens from outside: how a browser becomes one, what it may do, and what a person is answered at a kiosk.

mod door;
mod kiosk;
mod pairing;
mod screen;
