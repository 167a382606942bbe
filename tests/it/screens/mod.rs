//! The screens from outside: how a browser becomes one, what it may do, how its camera is read, what a person is answered at a kiosk, and
//! what is done at a desk.

mod desk;
mod desk_cases;
mod door;
mod frames;
mod kiosk;
mod my;
mod pairing;
mod screen;
