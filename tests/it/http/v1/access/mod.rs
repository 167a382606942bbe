//! `/v1/merchants`, `/v1/keys`, `/v1/me`, `/v1/desk`.

mod by_hand;
mod clerks;
mod desk_places;
mod keys;
mod me;
mod merchants;
